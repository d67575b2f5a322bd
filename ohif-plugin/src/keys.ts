// The keys of pairings, in the browser's database: per site, not readable by scripts, gone when the site's data are.

const DATABASE = 'vesalius';
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
  return use('readonly', table => table.get(RECORD));
}

export async function savePairing(record: PairingRecord): Promise<void> {
  await use('readwrite', table => table.put(record, RECORD));
}

export async function forgetPairing(): Promise<void> {
  await use('readwrite', table => table.delete(RECORD));
}

async function use<T>(mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    const transaction = database.transaction(TABLE, mode);
    const answer = ask(transaction.objectStore(TABLE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
    return answer.result;
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
