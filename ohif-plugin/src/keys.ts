// The keys of pairings, in the browser's database: per site, not readable by scripts, gone when the site's data are.

import { use } from './database.ts';

const TABLE = 'pairings';
/** There is one sidecar for a user on a computer. */
const RECORD = 'sidecar';

/** A pairing with the sidecar of this computer. */
export interface PairingRecord {
  clientId: string;
  key: CryptoKey;
  port: number;
}

export async function loadPairing(): Promise<PairingRecord | undefined> {
  return use(TABLE, 'readonly', table => table.get(RECORD));
}

export async function savePairing(record: PairingRecord): Promise<void> {
  await use(TABLE, 'readwrite', table => table.put(record, RECORD));
}

export async function forgetPairing(): Promise<void> {
  await use(TABLE, 'readwrite', table => table.delete(RECORD));
}
