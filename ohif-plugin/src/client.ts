// HTTP with the sidecar: JSON, voxels in pieces, and jobs as lines of JSON. What the sidecar refuses is thrown as a
// `Refusal`, in its own words; a sidecar that does not answer is `Unreachable`.

/** The API that this was written for. */
const API = '1.0';
/** Bytes sent at a time: progress is seen, and a break costs little. */
const PIECE = 16 << 20;

/** What the sidecar says instead of an answer. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

/** Nobody answered, or the browser did not let it through. */
export class Unreachable extends Error {}

/** Signs a request, and may renew what it signs with after a 401. */
export interface Signer {
  token(): string | undefined;
  renew?(): Promise<boolean>;
}

export interface Request {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal | undefined;
}

export class Client {
  constructor(
    readonly base: string,
    private readonly signer: Signer = { token: () => undefined },
  ) {}

  /** Asks, and reads the answer as JSON. */
  async json<T>(path: string, request: Request = {}): Promise<T> {
    const response = await this.send(path, request);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** All bytes of an answer. */
  async bytes(
    path: string,
    signal?: AbortSignal,
    report?: (fraction: number) => void,
    read?: (headers: Headers) => void,
  ): Promise<Uint8Array> {
    const response = await this.send(path, { signal });
    read?.(response.headers);
    const total = Number(response.headers.get('content-length') ?? Number.NaN);
    if (!response.body || !(total > 0)) return new Uint8Array(await response.arrayBuffer());
    const bytes = new Uint8Array(total);
    let received = 0;
    for await (const piece of pieces(response.body)) {
      bytes.set(piece, received);
      received += piece.length;
      report?.(received / total);
    }
    if (received !== total) throw new Unreachable('the answer broke off');
    return bytes;
  }

  /** Sends a body in pieces, going on from where the sidecar says it is. */
  async upload(
    path: string,
    parts: AsyncIterable<Blob>,
    signal?: AbortSignal,
    report?: (sent: number) => void,
  ): Promise<void> {
    let offset = 0;
    for await (const part of ahead(parts)) {
      for (let start = 0; start < part.size; start += PIECE) {
        const isWhole = part.size <= PIECE;
        const body = isWhole ? part : part.slice(start, start + PIECE);
        await this.send(`${path}?offset=${offset}`, { method: 'PUT', body, signal });
        offset += body.size;
        report?.(offset);
      }
    }
  }

  /** Lines of JSON, until the sidecar has said all. */
  async *lines<T>(path: string, signal?: AbortSignal): AsyncGenerator<T> {
    const response = await this.send(path, { signal });
    const decoder = new TextDecoder();
    let rest = '';
    for await (const piece of pieces(response.body)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line) yield JSON.parse(line) as T;
    }
  }

  private async send(path: string, request: Request, isRetry = false): Promise<Response> {
    const { method = 'GET', body, signal } = request;
    const token = this.signer.token();
    const headers: Record<string, string> = { 'X-Vesalius-Api': API };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) {
      headers['Content-Type'] = body instanceof Blob ? 'application/octet-stream' : 'application/json';
    }
    const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
    if (body !== undefined) init.body = body instanceof Blob ? body : JSON.stringify(body);
    if (signal) init.signal = signal;
    const response = await fetch(this.base + path, init).catch(error => {
      if (signal?.aborted) throw error;
      throw new Unreachable(String(error));
    });
    if (response.ok) return response;
    if (response.status === 401 && !isRetry && (await this.signer.renew?.())) {
      return this.send(path, request, true);
    }
    throw await refusal(response);
  }
}

/** What a refused request says; a web server between has other words. */
async function refusal(response: Response): Promise<Error> {
  const said = (await response.json().catch(() => undefined)) as
    | { code?: string; message?: string; hint?: string }
    | undefined;
  if (said?.code) return new Refusal(response.status, said.code, said.message ?? '', said.hint ?? '');
  // A reverse proxy answers 502 to 504 for a sidecar that is not there.
  if (response.status >= 502 && response.status <= 504) return new Unreachable(`HTTP ${response.status}`);
  return new Refusal(response.status, 'unknown', `the answer was HTTP ${response.status}`, '');
}

/** The same, each asked for while the one before it is used. */
async function* ahead<T>(values: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = values[Symbol.asyncIterator]();
  const next = () => {
    const asked = iterator.next();
    // It is heard below; until then it is nobody's.
    asked.catch(() => undefined);
    return asked;
  };
  try {
    for (let coming = next(); ; ) {
      const { done, value } = await coming;
      if (done) return;
      coming = next();
      yield value;
    }
  } finally {
    void iterator.return?.();
  }
}

/** The pieces of a body, as they come. */
async function* pieces(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(error => {
        if ((error as Error).name === 'AbortError') throw error;
        throw new Unreachable(String(error));
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
