// One segmentation, from the series in the pane to structures in all panes.

import type { FoundStructure, Job, Table, Task } from './api.ts';
import { type Client, Refusal } from './client.ts';
import type { Transport } from './configuration.ts';
import type { Correction } from './correction.ts';
import type { Layer } from './edit.ts';
import { type Grid, matched, type Slice, sourcesAt } from './geometry.ts';
import type { Host } from './host.ts';
import { show } from './segmentation.ts';
import { type Group, type Report, type Sent, send } from './send.ts';
import { allImageIds, type Series, slicesOf } from './series.ts';
import type { Surfaces } from './surfaces.ts';

/** What the user asked for. */
export interface Wish {
  task: Task;
  speed: string;
  /** A name that the task has for a threshold; none: its own default. */
  point: string | undefined;
  /** Names; empty: all of the task. */
  structures: string[];
  /** Which of several times or b-values. */
  timePoint: number | undefined;
  /** The images of a task that takes several, the first of which is not among them; none where one is enough. */
  others: { name: string; series: Series; timePoint: number | undefined }[];
}

/** A structure of a result, and where to look at it. */
export interface Structure extends FoundStructure {
  isVisible: boolean;
  /** How far its review has come, while it is corrected. */
  status?: 'automatic' | 'edited' | 'accepted';
  isLocked?: boolean;
}

/** A finished segmentation of a series. */
export interface Result {
  /** None where only its corrections are left. */
  job: string | undefined;
  seriesUid: string;
  studyUid: string;
  title: string;
  /** Of the volume that was segmented, such as `b = 1000`. */
  group: string;
  structures: Structure[];
  /** OHIF's segmentation while it is shown. */
  segmentationId: string | undefined;
  /** Its images there, by the slice of the result. */
  layer: Layer;
  /** Where its voxels lie. */
  grid: Grid;
  /** For panes in three dimensions. */
  surfaces: Surfaces | undefined;
  /** The session in which it is corrected, once there is one. */
  session: string | undefined;
  /** The session as it was shown, or is being corrected. */
  correction: Correction | undefined;
  /** Whether the sidecar knows the DICOM series, and so can write DICOM SEG. */
  isFromDicom: boolean;
  archive: 'no' | 'saving' | 'saved';
  /** What the user should know. */
  warnings: string[];
}

export interface Context {
  host: Host;
  client: Client;
  transport: Transport;
  /** Archives that the sidecar fetches from by itself: what their addresses begin with. */
  archives: readonly string[];
  signal: AbortSignal;
  report: (stage: string, fraction?: number, secondsLeft?: number) => void;
}

/** What is remembered of a run while it goes on. */
export interface Memory {
  known(series: Series, timePoint: number | undefined): Sent | undefined;
  /** Remembered although the job may be refused: another task need not send it again. */
  sent(series: Series, timePoint: number | undefined, sent: Sent): void;
  created(job: string): void;
}

/** Sends the series unless the sidecar still has it, and segments it. Nothing is shown yet. */
export async function segment(
  context: Context,
  series: Series,
  wish: Wish,
  memory: Memory,
): Promise<{ sent: Sent; group: Group; job: string }> {
  const { client, signal } = context;
  const { sent, group } = await brought(context, series, wish.timePoint, memory);
  const body: Record<string, unknown> = {
    volume: sent.volume,
    task: wish.task.id,
    speed: wish.speed,
    // Corrections know where the network nearly said something else; whoever is in a hurry need not wait for it.
    keep_runner_up: wish.speed !== 'fastest',
  };
  if (wish.point) body.operating_point = wish.point;
  if (wish.structures.length) body.structures = wish.structures;
  if (sent.groups.length > 1) body.group = group.id;
  const channels: Record<string, object> = {};
  for (const { name, series: other, timePoint } of wish.others) {
    const { sent: image, group: part } = await brought(context, other, timePoint, memory);
    channels[name] = { volume: image.volume, ...(image.groups.length > 1 && { group: part.id }) };
  }
  if (wish.others.length) body.channels = channels;
  const job = await client.json<Job>('/v1/jobs', { method: 'POST', body, signal });
  memory.created(job.id);
  await follow(context, job.id);
  return { sent, group, job: job.id };
}

/** A series at the sidecar, and the one of its volumes that is meant. */
async function brought(
  context: Context,
  series: Series,
  timePoint: number | undefined,
  memory: Memory,
): Promise<{ sent: Sent; group: Group }> {
  const { host, client, transport, archives, signal } = context;
  const report: Report = (stage, fraction) => context.report(stage, fraction);
  const known = memory.known(series, timePoint);
  const again = known && (await isKept(client, known.volume)) ? known : undefined;
  const sent =
    again ?? (await send({ host, client, series, timePoint, archives, signal, report }, transport));
  memory.sent(series, timePoint, sent);
  return { sent, group: chosen(sent, host, series, timePoint) };
}

/** Whether the sidecar still has a volume. */
async function isKept(client: Client, volume: string): Promise<boolean> {
  return client.json(`/v1/volumes/${volume}`).then(
    () => true,
    error => {
      if (error instanceof Refusal) return false;
      throw error;
    },
  );
}

/** The volume that was asked for: the one with the images of that time or b-value. */
function chosen(sent: Sent, host: Host, series: Series, timePoint: number | undefined): Group {
  const { groups, usual } = sent;
  const points = series.displaySet.dynamicVolumeInfo?.timePoints;
  const ids = timePoint === undefined ? undefined : points?.[timePoint];
  const wanted = new Set(ids ? slicesOf(host, ids).map(slice => slice.source) : []);
  const group =
    groups.find(({ sources }) => sources.some(source => source !== null && wanted.has(source))) ??
    groups.find(({ id }) => id === usual) ??
    groups[0];
  if (!group) throw new Error('The sidecar found no volume in the series.');
  return group;
}

/** Waits for the end of a job, and tells how far it is. */
async function follow({ client, signal, report }: Context, id: string): Promise<void> {
  let last: Job | undefined;
  for await (const view of client.lines<Job>(`/v1/jobs/${id}/events`, signal)) {
    last = view;
    const fraction = view.progress ?? view.fraction ?? undefined;
    const left = view.remaining_seconds ?? view.seconds_left ?? undefined;
    const words =
      view.state === 'queued' ? 'Waiting for another job' : (view.stage ?? view.message ?? 'Starting');
    report(words.charAt(0).toUpperCase() + words.slice(1), fraction, left);
  }
  // The stream ends early when the sidecar goes; asking once more tells which it was.
  const end = last && isFinal(last) ? last : await client.json<Job>(`/v1/jobs/${id}`, { signal });
  if (end.state === 'done') return;
  const { code = 'cancelled', message = 'the job was cancelled', hint = '' } = end.error ?? {};
  throw new Refusal(409, code, message, hint);
}

const isFinal = ({ state }: Job): boolean => state === 'done' || state === 'failed' || state === 'cancelled';

/** What is shown: a finished job, as far as it is corrected. */
export interface Finding {
  job: string | undefined;
  title: string;
  /** Where its voxels lie; none where the sidecar has forgotten the images. */
  group: Group | undefined;
  isFromDicom: boolean;
  correction: Correction | undefined;
}

/** Fetches a result and shows it in the panes of its series. */
export async function present(context: Context, series: Series, finding: Finding): Promise<Result> {
  const { host, report } = context;
  const { job, title, correction, isFromDicom } = finding;
  report('Fetching the result');
  const { labels, rows } = correction
    ? { labels: correction.labels, rows: await namesOf(context, correction, job) }
    : await fetched(context, job ?? '');
  report('Showing');
  const grid = finding.group ?? gridOfSession(context, series, correction);
  const { dims, ijk_to_world: ijkToWorld, sources } = grid;
  const [columns, height, depth] = dims;
  if (labels.length !== columns * height * depth) {
    throw new Error(`The result has ${labels.length} voxels, expected ${columns} x ${height} x ${depth}.`);
  }
  const slices = slicesOf(host, imagesOf(host, series, sources));
  const order = matched(slices, { dims, ijkToWorld, sources });
  const structures = rows.map(row => ({ ...row, isVisible: true }));
  const present = structures.filter(({ voxels }) => voxels > 0);
  const volumeId = `cornerstoneStreamingImageVolume:${series.displaySet.displaySetInstanceUID}`;
  const shown = await show(host, series, slices, labels, order, present, title, volumeId);
  return {
    job,
    seriesUid: series.seriesUid,
    studyUid: series.studyUid,
    title,
    group: finding.group?.label ?? '',
    structures,
    segmentationId: shown.segmentationId,
    layer: shown.layer,
    grid: { dims, ijkToWorld },
    surfaces: undefined,
    session: correction?.id,
    correction,
    isFromDicom,
    archive: 'no',
    warnings: [],
  };
}

/** Labels and structures of a job. */
async function fetched(
  { client, signal, report }: Context,
  job: string,
): Promise<{ labels: Uint8Array; rows: FoundStructure[] }> {
  const [table, labels] = await Promise.all([
    client.json<Table>(`/v1/jobs/${job}/segmentation`, { signal }),
    client.bytes(`/v1/jobs/${job}/labels`, signal, fraction => report('Fetching the result', fraction)),
  ]);
  return { labels, rows: table.segments };
}

/** Structures of a session; those that a job did not find are told by the job only. */
async function namesOf(
  { client, signal }: Context,
  { structures }: Correction,
  job: string | undefined,
): Promise<FoundStructure[]> {
  const table = job
    ? await client.json<Table>(`/v1/jobs/${job}/segmentation`, { signal }).catch(() => undefined)
    : undefined;
  const rows = structures.map(
    ({ value, name, color, terminology, voxels, volume_ml }) =>
      ({ id: name, value, name, color, terminology, voxels, volume_ml }) as FoundStructure,
  );
  const known = new Map(rows.map(row => [row.value, row]));
  return table ? table.segments.map(row => ({ ...row, ...known.get(row.value), id: row.id })) : rows;
}

/** Where the voxels of a session lie: its images are those of the pane, or none. */
function gridOfSession({ host }: Context, series: Series, correction: Correction | undefined): Group {
  if (!correction) throw new Error('The sidecar does not have the images of this result any more.');
  const { dims, ijkToWorld } = correction;
  const sources = sourcesAt(slicesOf(host, allImageIds(series.displaySet)), { dims, ijkToWorld });
  return { id: '', label: '', dims, ijk_to_world: ijkToWorld, sources };
}

/** Images of the pane's series that the result has slices for, or all of them where it is one volume. */
function imagesOf(host: Host, series: Series, sources: readonly (string | null)[]): string[] {
  const ids = allImageIds(series.displaySet);
  if (!series.displaySet.isDynamicVolume) return ids;
  const wanted = new Set(sources);
  return slicesOf(host, ids)
    .filter((slice: Slice) => wanted.has(slice.source))
    .map(slice => slice.imageId);
}
