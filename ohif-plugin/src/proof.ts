// What this page and the sidecar prove to each other without saying it: HMAC-SHA256 over ASCII text, keys by
// HKDF-SHA256 (RFC 5869), bytes as base64url without padding. The browser keeps the keys and does not give them out,
// not even to this code.

const HMAC = { name: 'HMAC', hash: 'SHA-256' };

/** As base64url. */
export function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

/** From base64url; none where it is something else. */
export function decode(text: string): Uint8Array | undefined {
  if (!/^[\w-]*$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), byte => byte.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** 32 random bytes, used once. */
export function nonce(): string {
  return encode(crypto.getRandomValues(new Uint8Array(32)));
}

/** A key that can sign and cannot be read. */
async function signingKey(bytes: BufferSource): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign', 'verify']);
}

const ascii = (text: string): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;

/** The proof that one knows a key, for a text. */
export async function prove(key: CryptoKey, text: string): Promise<string> {
  return encode(new Uint8Array(await crypto.subtle.sign('HMAC', key, ascii(text))));
}

/** Whether somebody has proven it. */
export async function isProven(key: CryptoKey, text: string, proof: string): Promise<boolean> {
  const bytes = decode(proof);
  return bytes !== undefined && crypto.subtle.verify('HMAC', key, bytes as BufferSource, ascii(text));
}

/** What both sides have said before a key is made. */
export interface Talk {
  nonce: string;
  serverNonce: string;
  origin: string;
  port: number;
  instance: string;
}

/** The key of a pairing, of the code that a person carried here. */
export async function pairingKey(code: string, talk: Talk): Promise<CryptoKey> {
  const secret = await crypto.subtle.importKey('raw', ascii(code), 'HKDF', false, ['deriveBits']);
  const salt = ascii(`${talk.nonce}|${talk.serverNonce}`);
  const info = ascii(`${talk.origin}|${talk.port}|${talk.instance}`);
  return signingKey(
    await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, secret, 256),
  );
}

/** The key that both sides keep: HKDF-Expand for 32 bytes, which is one HMAC (RFC 5869, 2.3). */
export async function longTermKey(pairing: CryptoKey): Promise<CryptoKey> {
  return signingKey(await crypto.subtle.sign('HMAC', pairing, ascii('long-term\u0001')));
}

/** What is proven when a session opens: `srv1` by the sidecar, `cli1` by the page. */
export function sessionText(who: 'srv1' | 'cli1', clientId: string, talk: Talk): string {
  return [who, clientId, talk.nonce, talk.serverNonce, talk.origin, talk.port, talk.instance].join('|');
}
