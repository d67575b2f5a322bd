// Results of a series that the sidecar still has: finished jobs for an hour, corrections for a week.

import type { CorrectionSubject, Job, Task } from './api.ts';
import type { Client } from './client.ts';
import { forgetSession, type Remembered, rememberSession, sessionsOf } from './remembered.ts';

/** A session, and how much was done in it. */
type Known = CorrectionSubject & { revision: number };

/** The sidecar opens a session to tell of it. */
const MOST_ASKED = 3;

/** A result of before. */
export interface Offer {
  /** None where only its corrections are left. */
  job: string | undefined;
  /** The session in which it can be corrected, once there is one. */
  session: string | undefined;
  /** Whether something was done in it. */
  isCorrected: boolean;
  title: string;
  /** Of several images of the series, such as `b = 1000 s/mm²`. */
  label: string;
  volume: string;
  group: string | undefined;
  /** Seconds since 1970. */
  created: number | undefined;
}

/** Asks the sidecar for results of a series, the newest first. */
export async function offersOf(client: Client, seriesUid: string, tasks: readonly Task[]): Promise<Offer[]> {
  const query = `series=${encodeURIComponent(seriesUid)}`;
  const [jobs, sessions, remembered] = await Promise.all([
    client.json<Job[]>(`/v1/jobs?${query}`).catch(() => []),
    client.json<Known[]>(`/v1/sessions?${query}`).catch(() => []),
    sessionsOf(seriesUid).catch(() => []),
  ]);
  const all = [...sessions, ...(await others(client, remembered, sessions))];
  const found = jobs
    .filter(({ state }) => state === 'done')
    .map(({ id, task, volume, group, group_label: label, created }): Offer => {
      const title = tasks.find(other => other.id === task)?.title ?? task;
      const session = all.find(({ job }) => job === id);
      return {
        job: id,
        session: session?.id,
        isCorrected: (session?.revision ?? 0) > 0,
        title,
        label: label ?? '',
        volume: volume ?? '',
        group: group ?? undefined,
        created,
      };
    });
  const left = all
    .filter(({ id }) => !found.some(({ session }) => session === id))
    // One session for each job: the newest, which is the one that is gone on with.
    .filter(({ job }, n, rest) => !job || rest.findIndex(other => other.job === job) === n)
    .filter(({ job }) => !found.some(offer => offer.job === job))
    .map(({ id, job, volume, touched, revision }): Offer => {
      const title = remembered.find(({ session }) => session === id)?.title ?? 'Corrected result';
      const isCorrected = revision > 0;
      return {
        job: job ?? undefined,
        session: id,
        isCorrected,
        title,
        label: '',
        volume,
        group: undefined,
        created: touched,
      };
    });
  return [...found, ...left];
}

/** Sessions that the sidecar does not list to this page any more, but still has. */
async function others(
  client: Client,
  remembered: readonly Remembered[],
  listed: readonly Known[],
): Promise<Known[]> {
  const missing = remembered
    .filter(({ session }) => !listed.some(({ id }) => id === session))
    .slice(0, MOST_ASKED);
  const asked = missing.map(({ session }) =>
    client.json<Known>(`/v1/sessions/${session}`).catch(error => {
      if (error?.code === 'not_found') void forgetSession(session).catch(() => undefined);
      return undefined;
    }),
  );
  return (await Promise.all(asked)).filter(session => session !== undefined);
}

/** Begins a session with a job's labels, so that these outlast the job: its name. */
export async function beginSession(
  client: Client,
  job: string,
  seriesUid: string,
  title: string,
): Promise<string> {
  const { id } = await client.json<Known>('/v1/sessions', { method: 'POST', body: { job } });
  await rememberSession(id, seriesUid, title).catch(() => undefined);
  return id;
}
