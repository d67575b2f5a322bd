// Which sessions of corrections this browser has begun, for each series: the sidecar shows a page those of its own only
// since it was started, and keeps them for a week. Of the series nothing is written but a digest.

import { use } from './database.ts';

const TABLE = 'corrections';
/** As long as the sidecar keeps a session that nobody asks for, in milliseconds. */
const KEPT = 7 * 24 * 3600 * 1000;
const MOST = 200;

/** A session that was begun here. */
export interface Remembered {
  session: string;
  series: string;
  /** What was segmented, for people. */
  title: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** Notes a session, and forgets those that the sidecar has forgotten. */
export async function rememberSession(session: string, seriesUid: string, title: string): Promise<void> {
  const series = await digest(seriesUid);
  if (!series) return;
  const all = await everything();
  const old = all.filter(({ at }, n) => at < Date.now() - KEPT || n < all.length - MOST);
  for (const { session } of old) await forgetSession(session);
  const record: Remembered = { session, series, title, at: Date.now() };
  await use(TABLE, 'readwrite', table => table.put(record, session));
}

export async function forgetSession(session: string): Promise<void> {
  await use(TABLE, 'readwrite', table => table.delete(session));
}

/** Sessions of a series, the newest first. */
export async function sessionsOf(seriesUid: string): Promise<Remembered[]> {
  const wanted = await digest(seriesUid);
  return (await everything()).filter(({ series }) => series === wanted).reverse();
}

async function everything(): Promise<Remembered[]> {
  const all: Remembered[] = await use(TABLE, 'readonly', table => table.getAll());
  return all.sort((a, b) => a.at - b.at);
}

/** None where the browser has no digests: on pages that came without protection. */
async function digest(text: string): Promise<string | undefined> {
  if (!globalThis.crypto?.subtle) return undefined;
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(bytes)].map(byte => byte.toString(16).padStart(2, '0')).join('');
}
