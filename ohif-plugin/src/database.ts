// The browser's database of this site: what must outlast the page, and nothing of images.

const DATABASE = 'vesalius';
/** One more whenever there is one more table. */
const VERSION = 2;
const TABLES = ['pairings', 'corrections'] as const;
type Table = (typeof TABLES)[number];

/** Asks a table for something, or changes it. */
export async function use<T>(
  table: Table,
  mode: IDBTransactionMode,
  ask: (table: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await open();
  try {
    const transaction = database.transaction(table, mode);
    const answer = ask(transaction.objectStore(table));
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
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      const there = request.result.objectStoreNames;
      for (const table of TABLES) if (!there.contains(table)) request.result.createObjectStore(table);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
