// Brings a series to the sidecar, by the way that fits: the voxels that the viewer has in its cache; or DICOM as the
// archive gives it, through this page and with the viewer's login, several times faster than loading the frames; or
// voxels that are loaded for it.

import type { Group, VolumeView } from './api.ts';
import { type Client, Refusal } from './client.ts';
import type { Transport } from './configuration.ts';
import { GeometryError, gridOf, type Slice } from './geometry.ts';
import type { Host } from './host.ts';
import { type Origin, originOf } from './origin.ts';
import { allImageIds, type Series, slicesOf } from './series.ts';
import { areCached, readVoxels } from './volume.ts';

/** A series that the sidecar has. */
export interface Sent {
  volume: string;
  way: 'relay' | 'voxels';
  /** The volumes in it: one, or one for each b-value. */
  groups: Group[];
  /** Which of them is the usual one. */
  usual: string | undefined;
  /** Whether the sidecar knows what a derived DICOM object needs. */
  isFromDicom: boolean;
  /** What the reader wants the user to know. */
  warnings: string[];
}

/** What is going on, for the user; no fraction where nobody knows. */
export type Report = (stage: string, fraction?: number) => void;

/** Time between two questions whether the sidecar has read all. */
const ASK_EVERY = 100;

/** DICOM passed on at a time: the page is held while it puts a piece together. */
const RELAY_BYTES = 4 << 20;

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
  if (transport === 'relay' && !root) {
    throw new Error('This archive does not speak DICOMweb, and the viewer is set to send DICOM only.');
  }
  const isAlone = transport === 'relay';
  if (!root || transport === 'voxels' || (!isAlone && areVoxelsHere(job))) return voxels(job);
  try {
    return await relay(job, await fetchSeries(job, root));
  } catch (error) {
    // The archive may give no whole series, or the series hold more than one volume: what the user sees is one.
    const isForViewer =
      !isAlone && !job.signal.aborted && (error instanceof NotGiven || isAboutImages(error));
    if (!isForViewer) throw error;
    return voxels(job);
  }
}

/** The archive did not answer with a series. */
class NotGiven extends Error {}

function isAboutImages(error: unknown): boolean {
  return error instanceof Refusal && error.status === 422;
}

/** Whether the viewer holds all voxels already, as one volume. */
function areVoxelsHere({ host, series, timePoint }: Job): boolean {
  try {
    const slices = slicesOf(host, imageIdsOf(series, timePoint));
    gridOf(slices);
    return areCached(host, slices);
  } catch (error) {
    if (error instanceof GeometryError) return false;
    throw error;
  }
}

/** Images of one time or b-value, or all where there is one. */
function imageIdsOf({ displaySet }: Series, timePoint: number | undefined): string[] {
  const points = displaySet.isDynamicVolume ? displaySet.dynamicVolumeInfo?.timePoints : undefined;
  return points?.[timePoint ?? points.length - 1] ?? allImageIds(displaySet);
}

/** Where the viewer's archive answers DICOMweb requests, if it does. */
function webRoot(host: Host): string | undefined {
  const root = host.dataSource()?.getConfig?.().wadoRoot;
  return root ? new URL(root, document.baseURI).href.replace(/\/+$/, '') : undefined;
}

/** DICOM as it comes from the archive. */
interface Stream {
  /** With the boundary between its parts. */
  type: string;
  /** In all, where the archive says so. */
  bytes: number | undefined;
  pieces: AsyncGenerator<Blob>;
}

/** All images of a series as the archive has them (WADO-RS, PS3.18 10.4). */
async function fetchSeries({ host, series, signal }: Job, root: string): Promise<Stream> {
  const quote = host.dataSource()?.getConfig?.().omitQuotationForMultipartRequest ? '' : '"';
  const response = await fetch(`${root}/studies/${series.studyUid}/series/${series.seriesUid}`, {
    headers: {
      ...host.authorization(),
      Accept: `multipart/related; type=${quote}application/dicom${quote}; transfer-syntax=*`,
    },
    signal,
  }).catch(error => {
    if (signal.aborted) throw error;
    throw new NotGiven('The archive did not answer.');
  });
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !type.startsWith('multipart/related') || !response.body) {
    throw new NotGiven(`The archive did not give the series (HTTP ${response.status}).`);
  }
  // A length of compressed bytes says nothing about those that arrive here.
  const isPlain = !response.headers.get('content-encoding');
  const bytes = isPlain ? Number(response.headers.get('content-length')) || undefined : undefined;
  return { type, bytes, pieces: gathered(response.body.getReader(), signal) };
}

/** The pieces of an answer, gathered to some that are worth a request. */
async function* gathered(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Blob> {
  let [pieces, bytes]: [BlobPart[], number] = [[], 0];
  for (;;) {
    const { done, value } = await reader.read().catch(error => {
      if (signal.aborted) throw error;
      throw new NotGiven('The archive broke off.');
    });
    if (value) {
      pieces.push(value as BlobPart);
      bytes += value.byteLength;
    }
    if (bytes && (done || bytes >= RELAY_BYTES)) {
      yield new Blob(pieces);
      [pieces, bytes] = [[], 0];
    }
    if (done) return;
  }
}

/** Passes DICOM on while it comes, and waits until the sidecar has read it. */
async function relay({ client, signal, report }: Job, dicom: Stream): Promise<Sent> {
  const { type, bytes } = dicom;
  const created = await client.json<VolumeView>('/v1/volumes', {
    method: 'POST',
    body: { format: 'file', content_type: type, ...(bytes && { bytes }) },
    signal,
  });
  const path = `/v1/volumes/${created.id}`;
  try {
    await client.upload(`${path}/data`, dicom.pieces, signal, sent =>
      report(
        bytes ? 'Sending images' : `Sending images, ${(sent / 1e6).toFixed(0)} MB`,
        bytes && sent / bytes,
      ),
    );
    if (!bytes) await client.json(`${path}/complete`, { method: 'POST', body: {}, signal });
    return await read(client, path, signal, report);
  } catch (error) {
    // What will not be used need not wait an hour there.
    client.json(path, { method: 'DELETE' }).catch(() => undefined);
    throw error;
  }
}

/** Waits until the sidecar has read the images. */
async function read(client: Client, path: string, signal: AbortSignal, report: Report): Promise<Sent> {
  for (;;) {
    const view = await client.json<VolumeView>(path, { signal });
    if (view.state === 'failed' && view.error) {
      throw new Refusal(422, view.error.code, view.error.message, view.error.hint);
    }
    if (view.state === 'ready') {
      const { groups = [], usual, warnings = [] } = view;
      const words = warnings.map(({ message }) => message);
      return {
        volume: view.id,
        way: 'relay',
        groups,
        usual: usual ?? undefined,
        isFromDicom: true,
        warnings: words,
      };
    }
    report('Reading images');
    await new Promise(resolve => setTimeout(resolve, ASK_EVERY));
    signal.throwIfAborted();
  }
}

/** Sends what the viewer holds, loading what it does not. */
async function voxels({ host, client, series, timePoint, signal, report }: Job): Promise<Sent> {
  const { displaySet } = series;
  const slices = slicesOf(host, imageIdsOf(series, timePoint));
  const { dims, ijkToWorld } = gridOf(slices);
  const name = displaySet.isDynamicVolume ? `vesalius-${timePoint ?? 'last'}-` : '';
  const volumeId = `cornerstoneStreamingImageVolume:${name}${displaySet.displaySetInstanceUID}`;
  const read = await readVoxels(host, slices, volumeId, series.modality, signal, fraction =>
    report('Loading images', fraction),
  );
  const origin = originOf(series, slices);
  const created = await create(client, { ...read.header, ...origin }, signal);
  await client.upload(`/v1/volumes/${created.id}/data`, read.parts, signal, sent =>
    report('Sending voxels', sent / read.bytes),
  );
  const sources = slices.map(({ source }: Slice) => source);
  const group: Group = { id: '', label: '', dims, ijk_to_world: ijkToWorld, sources };
  const isFromDicom = origin !== undefined;
  return { volume: created.id, way: 'voxels', groups: [group], usual: undefined, isFromDicom, warnings: [] };
}

async function create(
  client: Client,
  body: object & Partial<Origin>,
  signal: AbortSignal,
): Promise<VolumeView> {
  return client.json<VolumeView>('/v1/volumes', { method: 'POST', body, signal });
}
