// Brings a series to the sidecar, by the way that fits: DICOM as the archive gives it, through this page and with the
// viewer's login; or the voxels that the viewer holds. DICOM is several times faster than loading the frames, and lets
// the sidecar see b-values and write DICOM SEG, so it goes first wherever the archive speaks DICOMweb.

import type { Group, VolumeView } from './api.ts';
import { type Client, Refusal } from './client.ts';
import type { Transport } from './configuration.ts';
import { gridOf } from './geometry.ts';
import type { Host } from './host.ts';
import { allImageIds, type Series, slicesOf } from './series.ts';
import { readVoxels } from './volume.ts';

/** A series that the sidecar has. */
export interface Sent {
  volume: string;
  way: 'relay' | 'voxels';
  /** The volumes in it: one, or one for each b-value. */
  groups: Group[];
  /** What the reader wants the user to know. */
  warnings: string[];
}

/** What is going on, for the user; no fraction where nobody knows. */
export type Report = (stage: string, fraction?: number) => void;

/** Time between two questions whether the sidecar has read all. */
const ASK_EVERY = 250;

interface Job {
  host: Host;
  client: Client;
  series: Series;
  /** Which of several times or b-values, where the viewer knows them. */
  timePoint: number | undefined;
  signal: AbortSignal;
  report: Report;
}

/** Sends a series. */
export async function send(job: Job, transport: Transport): Promise<Sent> {
  const root = webRoot(job.host);
  if (transport !== 'voxels' && root) {
    const dicom = await fetchSeries(job, root).catch(error => {
      // The viewer can show what it holds although the archive does not give whole series.
      if (job.signal.aborted || transport === 'relay') throw error;
      return undefined;
    });
    if (dicom) return relay(job, dicom);
  }
  if (transport === 'relay' && !root) {
    throw new Error('This archive does not speak DICOMweb, and the viewer is set to send DICOM only.');
  }
  return voxels(job);
}

/** Where the viewer's archive answers DICOMweb requests, if it does. */
function webRoot(host: Host): string | undefined {
  const root = host.dataSource()?.getConfig?.().wadoRoot;
  return root ? new URL(root, document.baseURI).href.replace(/\/+$/, '') : undefined;
}

/** All images of a series as the archive has them (WADO-RS, PS3.18 10.4). */
async function fetchSeries({ host, series, signal, report }: Job, root: string): Promise<Blob> {
  const quote = host.dataSource()?.getConfig?.().omitQuotationForMultipartRequest ? '' : '"';
  const response = await fetch(`${root}/studies/${series.studyUid}/series/${series.seriesUid}`, {
    headers: {
      ...host.authorization(),
      Accept: `multipart/related; type=${quote}application/dicom${quote}; transfer-syntax=*`,
    },
    signal,
  });
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !type.startsWith('multipart/related') || !response.body) {
    throw new Error(`The archive did not give the series (HTTP ${response.status}).`);
  }
  const reader = response.body.getReader();
  const pieces: BlobPart[] = [];
  let received = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    pieces.push(piece.value as BlobPart);
    received += piece.value.byteLength;
    report(`Fetching images, ${(received / 1e6).toFixed(0)} MB`);
  }
  return new Blob(pieces, { type });
}

/** Passes DICOM on, and waits until the sidecar has read it. */
async function relay({ client, signal, report }: Job, dicom: Blob): Promise<Sent> {
  const created = await client.json<VolumeView>('/v1/volumes', {
    method: 'POST',
    body: { format: 'file', content_type: dicom.type, bytes: dicom.size },
    signal,
  });
  const path = `/v1/volumes/${created.id}`;
  await client.upload(`${path}/data`, once(dicom), signal, sent =>
    report('Sending images', sent / dicom.size),
  );
  for (;;) {
    const view = await client.json<VolumeView>(path, { signal });
    if (view.state === 'failed' && view.error) {
      throw new Refusal(422, view.error.code, view.error.message, view.error.hint);
    }
    if (view.state === 'ready') return { volume: view.id, way: 'relay', ...contents(view) };
    report('Reading images');
    await new Promise(resolve => setTimeout(resolve, ASK_EVERY));
    signal.throwIfAborted();
  }
}

/** The volumes in what the sidecar has read. */
export function contents(view: VolumeView): { groups: Group[]; warnings: string[] } {
  const { groups = [], warnings = [], dims, ijk_to_world, sources = [] } = view;
  const only: Group[] = dims && ijk_to_world ? [{ id: '', label: '', dims, ijk_to_world, sources }] : [];
  return { groups: groups.length > 1 ? groups : only, warnings };
}

/** Sends what the viewer holds. */
async function voxels({ host, client, series, timePoint, signal, report }: Job): Promise<Sent> {
  const { displaySet } = series;
  const points = displaySet.isDynamicVolume ? displaySet.dynamicVolumeInfo?.timePoints : undefined;
  const ids = points?.[timePoint ?? points.length - 1] ?? allImageIds(displaySet);
  const slices = slicesOf(host, ids);
  const { dims, ijkToWorld } = gridOf(slices);
  const name = points ? `vesalius-${timePoint ?? points.length - 1}-` : '';
  const volumeId = `cornerstoneStreamingImageVolume:${name}${displaySet.displaySetInstanceUID}`;
  const { header, bytes, parts } = await readVoxels(
    host,
    slices,
    volumeId,
    series.modality,
    signal,
    fraction => report('Loading images', fraction),
  );
  const created = await client.json<VolumeView>('/v1/volumes', { method: 'POST', body: header, signal });
  await client.upload(`/v1/volumes/${created.id}/data`, parts, signal, sent =>
    report('Sending voxels', sent / bytes),
  );
  const sources = slices.map(slice => slice.source);
  const group: Group = { id: '', label: '', dims, ijk_to_world: ijkToWorld, sources };
  return { volume: created.id, way: 'voxels', groups: [group], warnings: [] };
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
