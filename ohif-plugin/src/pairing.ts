// Pairing by code, and sessions of a page that is paired. The code and the keys never leave the page.

import { Client, Refusal } from './client.ts';
import type { PairingRecord } from './keys.ts';
import { isProven, longTermKey, nonce, pairingKey, prove, sessionText, type Talk } from './proof.ts';

/** The port and the code that the user was shown. */
export interface Code {
  port: number;
  code: string;
}

/** Somebody answered who does not know what the sidecar knows. */
export class Impostor extends Error {}

/** Reads `38917-K7QF-M2XD-9TRW` as people type it; none where it cannot be one. */
export function readCode(text: string): Code | undefined {
  const match = /^(\d{2,5})[\s-]+([0-9A-Z\s-]+)$/.exec(text.trim().toUpperCase());
  const port = Number(match?.[1]);
  // Crockford's digits: what looks alike is alike.
  const code = (match?.[2] ?? '').replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  if (!(port > 0 && port < 65536) || !/^[0-9A-HJKMNP-TV-Z]{12}$/.test(code)) return undefined;
  return { port, code };
}

interface Begun {
  pair_id: string;
  server_nonce: string;
  instance: string;
  port: number;
}

/** What the sidecar says once the user has allowed the page; without `client_id` it is still being thought about. */
interface Confirmed {
  client_id?: string;
  proof?: string;
}

/** Time between two questions whether the user has answered. */
const ASK_EVERY = 1000;

/** Pairs this page. Comes back when the user has allowed it where the code was shown. */
export async function pair(base: string, code: Code, signal: AbortSignal): Promise<PairingRecord> {
  const client = new Client(base);
  const mine = nonce();
  const begun = await client.json<Begun>('/v1/pair/begin', {
    method: 'POST',
    body: { nonce: mine, label: 'OHIF' },
    signal,
  });
  const talk = talkOf(mine, begun, code.port);
  const key = await pairingKey(code.code, talk);
  const body = { pair_id: begun.pair_id, proof: await prove(key, 'pair-c') };
  let confirmed: Confirmed = {};
  while (!confirmed.client_id) {
    confirmed =
      (await client.json<Confirmed | undefined>('/v1/pair/confirm', { method: 'POST', body, signal })) ?? {};
    signal.throwIfAborted();
    if (!confirmed.client_id) await new Promise(resolve => setTimeout(resolve, ASK_EVERY));
  }
  if (!(await isProven(key, 'pair-s', confirmed.proof ?? ''))) {
    throw new Impostor('the program at this port does not know the code');
  }
  return { clientId: confirmed.client_id, key: await longTermKey(key), port: code.port };
}

interface SessionBegun {
  server_nonce: string;
  instance: string;
  port: number;
  proof: string;
}

/** Opens a session: first the sidecar proves the key, then this page. Gives the token. */
export async function openSession(base: string, { clientId, key, port }: PairingRecord): Promise<string> {
  const client = new Client(base);
  const mine = nonce();
  const begun = await client.json<SessionBegun>('/v1/session', {
    method: 'POST',
    body: { client_id: clientId, nonce: mine },
  });
  const talk = talkOf(mine, begun, port);
  if (!(await isProven(key, sessionText('srv1', clientId, talk), begun.proof))) {
    throw new Impostor('the program at this port does not know the key of this pairing');
  }
  const confirmed = await client.json<{ token: string }>('/v1/session/confirm', {
    method: 'POST',
    body: {
      server_nonce: begun.server_nonce,
      proof: await prove(key, sessionText('cli1', clientId, talk)),
    },
  });
  return confirmed.token;
}

/** All that was said; the port must be the one dialled, or somebody passes the talk on. */
function talkOf(
  mine: string,
  begun: { server_nonce: string; instance: string; port: number },
  port: number,
): Talk {
  if (begun.port !== port) throw new Impostor('the answer came from another port');
  return {
    nonce: mine,
    serverNonce: begun.server_nonce,
    origin: location.origin,
    port,
    instance: begun.instance,
  };
}

/** Whether the sidecar does not know this page any more. */
export function isForgotten(error: unknown): boolean {
  return error instanceof Refusal && [401, 403, 404].includes(error.status);
}
