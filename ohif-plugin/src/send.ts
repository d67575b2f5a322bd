// Brings a series to the sidecar, by the way that fits: the sidecar fetches it by itself, where its user allows that; the
// voxels that the viewer has in its cache; DICOM as the archive gives it, through this page and with the viewer's login,
// several times faster than loading the frames; or voxels that are loaded for it.

import type * as api from './api.ts';
import { type Client, Refusal } from './client.ts';
import type { Transport } from './configuration.ts';
import { GeometryError, gridOf, type Slice } from './geometry.ts';
import type { Host } from './host.ts';
import { type Origin, originOf } from './origin.ts';
import { allImageIds, type Series, slicesOf } from './series.ts';
import { areCached, readVoxels } from './volume.ts';

/** One volume of those in a series: the only one as a rule, one for each b-value of a diffusion series. */
export type Group = Pick<api.Group, 'id' | 'label' | 'dims' | 'ijk_to_world' | 'sources'>;

/** A series that the sidecar has. */
export interface Sent {
  volume: string;
  way: 'reference' | 'relay' | 'voxels';
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
const RELAY_BYTES = 8 << 20;

interface Job {
  host: Host;
  client: Client;
  series: Series;
  /** Which of several times or b-values, where the viewer knows them. */
  timePoint: number | undefined;
  /** Where the sidecar fetches series from. */
  archives: readonly string[];
  signal: AbortSignal;
  report: Report;
}

/** Sends a series, by the first way that works. */
export async function send(job: Job, transport: Transport): Promise<Sent> {
  const root = webRoot(job.host);
  if (transport !== 'voxels' && transport !== 'auto' && !root) {
    throw new Error('This archive does not speak DICOMweb, and the viewer is set to send DICOM only.');
  }
  const ways: (() => Promise<Sent>)[] = [];
  const isFetched = root && job.archives.some(archive => `${root}/`.startsWith(archive));
  if (root && (transport === 'reference' || (transport === 'auto' && isFetched))) {
    ways.push(() => reference(job, root));
  }
  if (root && (transport === 'relay' || (transport === 'auto' && !areVoxelsEnough(job)))) {
    ways.push(async () => relay(job, await fetchSeries(job, root)));
  }
  if (transport === 'auto' || transport === 'voxels') ways.push(() => voxels(job));
  for (const [n, way] of ways.entries()) {
    try {
      return await way();
    } catch (error) {
      // The archive may give no whole series, or the series hold more than one volume: what the user sees is one.
      const isForNext = !job.signal.aborted && (error instanceof NotGiven || isAboutImages(error));
      if (!isForNext || n === ways.length - 1) throw error;
    }
  }
  throw new Error('There is no way to send this series.');
}

/** The archive did not answer with a series. */
class NotGiven extends Error {}

/** What another way may do better: images that cannot be read, or an archive that does not give them. */
function isAboutImages(error: unknown): boolean {
  const codes = ['download_failed', 'archive_refused'];
  return error instanceof Refusal && (error.status === 422 || codes.includes(error.code));
}

/** Whether the viewer holds all voxels already, as one volume, and images that a DICOM SEG of them can refer to. */
function areVoxelsEnough({ host, series, timePoint }: Job): boolean {
  try {
    const slices = slicesOf(host, imageIdsOf(series, timePoint));
    gridOf(slices);
    return originOf(series, slices) !== undefined && areCached(host, slices);
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
    // The browser would write all of it to its own disk as well.
    cache: 'no-store',
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
  const created = await client.json<api.Volume>('/v1/volumes', {
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

/** Lets the sidecar fetch the series by itself, with the viewer's login. */
async function reference({ host, client, series, signal, report }: Job, root: string): Promise<Sent> {
  const { Authorization: authorization } = host.authorization();
  const url = `${root}/studies/${series.studyUid}/series/${series.seriesUid}`;
  const body = { format: 'dicomweb', url, ...(authorization && { authorization }) };
  const created = await client.json<api.Volume>('/v1/volumes', { method: 'POST', body, signal });
  const path = `/v1/volumes/${created.id}`;
  try {
    return { ...(await read(client, path, signal, report)), way: 'reference' };
  } catch (error) {
    client.json(path, { method: 'DELETE' }).catch(() => undefined);
    throw error;
  }
}

/** Waits until the sidecar has read the images. */
async function read(client: Client, path: string, signal: AbortSignal, report: Report): Promise<Sent> {
  for (;;) {
    const view = await client.json<api.Volume>(path, { signal });
    if (view.state === 'failed' && view.error) {
      throw new Refusal(422, view.error.code, view.error.message, view.error.hint);
    }
    if (view.state === 'ready') {
      const { groups, usual, warnings } = view;
      return {
        volume: view.id,
        way: 'relay',
        groups,
        usual: usual ?? undefined,
        isFromDicom: true,
        warnings,
      };
    }
    const isComing = view.state === 'fetching';
    report(isComing ? `Fetching images, ${(view.received / 1e6).toFixed(0)} MB` : 'Reading images');
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
): Promise<api.Volume> {
  return client.json<api.Volume>('/v1/volumes', { method: 'POST', body, signal });
}
