// Save to PACS: the DICOM SEG that the sidecar wrote from the true geometry, stored by the viewer's own data source and
// with its login, then listed in the study.

import type { Client } from './client.ts';
import type { Host } from './host.ts';

/** Stores the result of a job beside its series, as far as it is corrected. */
export async function saveToArchive(
  host: Host,
  client: Client,
  { job, session, studyUid }: { job: string | undefined; session: string | undefined; studyUid: string },
  signal: AbortSignal,
): Promise<void> {
  const store = host.dataSource()?.store;
  if (!store) throw new Error('The viewer cannot store in this archive.');
  const made = session ? `sessions/${session}` : `jobs/${job}`;
  const file = await client.bytes(`/v1/${made}/labels?format=dicom-seg`, signal);
  await store.dicom(file.buffer as ArrayBuffer);
  await list(host, studyUid);
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
