// Save to PACS: the DICOM SEG that the sidecar wrote from the true geometry, stored by the viewer's own data source and
// with its login, then listed in the study. And the same as a file, for viewers without an archive and for other programs.

import type { Client } from './client.ts';
import type { Host } from './host.ts';
import type { Result } from './run.ts';

/** Files that the sidecar writes, with the ends of their names. */
const FILES = { 'dicom-seg': '.dcm', nifti: '.nii.gz', 'seg.nrrd': '.seg.nrrd' } as const;
export type FileFormat = keyof typeof FILES;

/** Data sources of OHIF that have a `store`, which stores nothing. */
const WITHOUT_ARCHIVE = ['dicomlocal', 'dicomjson'];

/** Whether the viewer has an archive that it can store in. */
export function canStore(host: Host): boolean {
  const kind = host.extensions.getActiveDataSourceDefinition?.()?.namespace?.split('.').pop() ?? '';
  return Boolean(host.dataSource()?.store) && !WITHOUT_ARCHIVE.includes(kind);
}

/** Stores a result beside its series, as far as it is corrected. */
export async function saveToArchive(
  host: Host,
  client: Client,
  result: Result,
  changed: () => void,
): Promise<void> {
  const store = host.dataSource()?.store;
  if (!store || !canStore(host) || result.archive !== 'no') return;
  result.archive = 'saving';
  changed();
  try {
    const file = await fileOf(client, result, 'dicom-seg');
    // A data source of somebody's own may answer at once, with nothing.
    await Promise.resolve(store.dicom(file.buffer as ArrayBuffer)).catch(refused);
    // It is stored: a list that does not show it yet is no failure.
    await list(host, result.studyUid).catch(() => undefined);
    result.archive = 'saved';
  } finally {
    if (result.archive === 'saving') result.archive = 'no';
    changed();
  }
}

/** What the viewer's DICOMweb client says is `request failed`, and a number. */
function refused(error: unknown): never {
  const { status } = error as { status?: number };
  const words = status ? ` (HTTP ${status})` : '';
  throw new Error(
    `The archive did not take it${words}; your login may not be allowed to store there. It can be saved as a file.`,
  );
}

/** Lets the browser save a result as a file, as far as it is corrected. */
export async function download(client: Client, result: Result, format: FileFormat): Promise<void> {
  const file = await fileOf(client, result, format);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file as BlobPart], { type: 'application/octet-stream' }));
  link.download = `${nameOf(result.title)}${FILES[format]}`;
  link.click();
  // The browser has begun to read it by then, and keeps it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileOf(client: Client, { job, session }: Result, format: FileFormat): Promise<Uint8Array> {
  const made = session ? `sessions/${session}` : `jobs/${job}`;
  return client.bytes(`/v1/${made}/labels?format=${format}`);
}

/** A file's name from a title. Titles are those of tasks, and name no patient. */
function nameOf(title: string): string {
  const words = title.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['segmentation'];
  return words.join('_');
}

/** Lists series that are new in the archive, without loading the study again. */
async function list(host: Host, studyUid: string): Promise<void> {
  const source = host.dataSource();
  const { displaySetService } = host.services;
  const all = (await source?.query?.series?.search(studyUid)) ?? [];
  const fresh = all
    .filter(({ modality }) => modality === 'SEG')
    .map(({ seriesInstanceUid }) => seriesInstanceUid)
    .filter(
      (uid): uid is string =>
        Boolean(uid) && displaySetService.getDisplaySetsForSeries(uid ?? '').length === 0,
    );
  // What the viewer remembers of the study is from before; 3.13 remembers under another name than it forgets.
  const name = source?.getConfig?.().name;
  for (const key of [studyUid, `${name}:${studyUid}`]) source?.deleteStudyMetadataPromise?.(key);
  if (fresh.length) {
    await source?.retrieve?.series?.metadata({
      StudyInstanceUID: studyUid,
      filters: { seriesInstanceUID: fresh },
    });
  }
}
