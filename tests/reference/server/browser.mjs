// What a real browser lets web pages do with `vesalius serve`: pages that are paired, and pages that are not.
//
//     node tests/reference/server/browser.mjs VESALIUS [CHROMIUM]
//
// Needs Node 20, Chromium and `openssl`; nothing else. Pages from a public network are played by servers on loopback,
// which Chromium is told to take for public ones. Prints a table, and fails when a line of it is not as expected.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [vesalius, chromium = '/usr/bin/chromium'] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'vesalius-browser-'));
const home = join(folder, 'home');
const isolated = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** A web server with one empty page; its port. */
async function page(options, headers = {}) {
  const answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html', ...headers });
    response.end('<!doctype html><title>page</title>');
  };
  const server = options ? https.createServer(options, answer) : http.createServer(answer);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return server.address().port;
}

/** The server under test: its port and token. */
async function sidecar() {
  const child = spawn(vesalius, ['serve', '--port', '0'], { env: { ...process.env, VESALIUS_HOME: home } });
  const line = await new Promise(resolve => child.stdout.once('data', data => resolve(String(data))));
  const { port, token } = JSON.parse(readFileSync(JSON.parse(line).endpoint, 'utf8'));
  const ask = async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body: JSON.stringify(body) });
    return answer.json();
  };
  return { child, port, token, ask };
}

/** A browser that is spoken to over a pipe. */
function browser(flags) {
  const child = spawn(
    chromium,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--remote-debugging-pipe',
      '--ignore-certificate-errors',
      `--user-data-dir=${join(folder, 'profile')}`,
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const waiting = new Map();
  let [number, rest] = [0, ''];
  child.stdio[4].on('data', data => {
    const words = (rest + data).split('\0');
    rest = words.pop();
    for (const word of words.map(text => JSON.parse(text))) {
      waiting.get(word.id)?.(word);
      waiting.delete(word.id);
    }
  });
  const send = (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      number += 1;
      waiting.set(number, word => (word.error ? reject(new Error(word.error.message)) : resolve(word.result)));
      child.stdio[3].write(`${JSON.stringify({ id: number, method, params, sessionId })}\0`);
    });
  /** A tab; what is run in it comes back as a value. */
  const open = async url => {
    const { targetId } = await send('Target.createTarget', { url });
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
    const run = async (work, ...values) => {
      const expression = `(${work})(...${JSON.stringify(values)})`;
      const options = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await send('Runtime.evaluate', options, sessionId);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    // A new tab has nothing to run in at first.
    const state = () => run(() => `${location.href} ${document.readyState}`).catch(() => '');
    while ((await state()) !== `${url} complete`);
    return run;
  };
  const grant = origin =>
    send('Browser.setPermission', { origin, permission: { name: 'loopback-network' }, setting: 'granted' });
  return { child, open, grant };
}

/** Run in a page: what comes of a request, in a word. */
const attempt = async (url, options = {}) => {
  const late = new Promise(resolve => setTimeout(() => resolve('nothing within 5 s'), 5000));
  const asked = fetch(url, options).then(
    async answer => (answer.type === 'opaque' ? 'unreadable' : `${answer.status} ${(await answer.text()).slice(0, 4000)}`),
    () => 'unreadable',
  );
  return Promise.race([asked, late]);
};

/** Run in a page: pairs and opens a session, with keys that the browser does not give out. */
const pairInPage = async (base, typed, isPairingOnly) => {
  const ascii = text => new TextEncoder().encode(text);
  const encode = bytes =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const key = bytes => crypto.subtle.importKey('raw', bytes, hmac, false, ['sign']);
  const prove = async (secret, text) => encode(await crypto.subtle.sign('HMAC', secret, ascii(text)));
  const nonce = () => encode(crypto.getRandomValues(new Uint8Array(32)));
  const post = async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const [port, ...words] = typed.split('-');
  const mine = nonce();
  const begun = await post('/v1/pair/begin', { nonce: mine, label: 'browser' });
  if (begun.code) return begun.code;
  const code = await crypto.subtle.importKey('raw', ascii(words.join('')), 'HKDF', false, ['deriveBits']);
  const salt = ascii(`${mine}|${begun.server_nonce}`);
  const info = ascii(`${location.origin}|${port}|${begun.instance}`);
  const pair = await key(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, code, 256));
  const proof = await prove(pair, 'pair-c');
  let paired = { status: 202 };
  while (paired.status === 202) paired = await post('/v1/pair/confirm', { pair_id: begun.pair_id, proof });
  if (paired.code) return paired.code;
  if (paired.proof !== (await prove(pair, 'pair-s'))) return 'impostor';
  if (isPairingOnly) return 'paired';
  const long = await key(await crypto.subtle.sign('HMAC', pair, ascii('long-term\u0001')));
  const number = nonce();
  const offer = await post('/v1/session', { client_id: paired.client_id, nonce: number });
  const text = `${paired.client_id}|${number}|${offer.server_nonce}|${location.origin}|${port}|${offer.instance}`;
  if (offer.proof !== (await prove(long, `srv1|${text}`))) return 'impostor';
  const answer = { server_nonce: offer.server_nonce, proof: await prove(long, `cli1|${text}`) };
  globalThis.token = (await post('/v1/session/confirm', answer)).token;
  return globalThis.token ? 'paired' : 'no session';
};

const rows = [];
/** Notes what was found, and whether it is what was expected. */
function note(who, does, found, expected) {
  const word = String(found);
  const [status] = word.split(' ');
  const code = /"code":"(\w+)"/.exec(word)?.[1] ?? '';
  const short = /^\d{3}$/.test(status) ? `${status} ${code}`.trim() : word;
  rows.push({ who, does, found: short, holds: expected.test(word) });
}

async function main() {
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem')];
  const quiet = { stdio: 'ignore' };
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=page', ...files], quiet);
  const tls = { key: readFileSync(files[1]), cert: readFileSync(files[3]) };
  const ports = [await page(tls, isolated), await page(tls), await page(undefined), await page(undefined)];
  const server = await sidecar();
  const spaces = ports.slice(0, 3).map(port => `127.0.0.1:${port}=public`);
  const names = ['viewer', 'evil', 'plain'].map(name => `MAP ${name}.example 127.0.0.1`);
  const { child, open, grant } = browser([
    `--ip-address-space-overrides=${spaces.join(',')}`,
    `--host-resolver-rules=${names.join(',')}`,
  ]);
  try {
    await look(server, ports, open, grant);
  } finally {
    child.kill();
    server.child.kill();
    await new Promise(resolve => child.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  }
  console.log('| page | does | what comes of it |\n|---|---|---|');
  for (const { who, does, found, holds } of rows) console.log(`| ${who} | ${does} | ${found}${holds ? '' : ' **WRONG**'} |`);
  process.exit(rows.every(row => row.holds) ? 0 : 1);
}

async function look(server, [viewerPort, evilPort, plainPort, localPort], open, grant) {
  const base = `http://127.0.0.1:${server.port}`;
  const info = `${base}/v1/info`;
  const code = async () => (await server.ask('POST', '/v1/pair', {})).code;
  const consent = async allow => {
    while ((await server.ask('GET', '/v1/pair')).state !== 'asking') await new Promise(resolve => setTimeout(resolve, 50));
    await server.ask('POST', '/v1/pair/answer', { allow });
  };
  const volumes = () => readdirSync(join(home, 'run/spool/volumes')).length;
  const json = { 'content-type': 'application/json' };

  const viewerOrigin = `https://viewer.example:${viewerPort}`;
  const viewer = await open(`${viewerOrigin}/`);
  const isolatedWord = await viewer(() => `crossOriginIsolated ${crossOriginIsolated}`);
  note('https, public, COOP and COEP', 'is isolated', isolatedWord, /true/);
  note('the same', 'asks, before the user lets it reach this computer', await viewer(attempt, `${base}/v1/live`), /^unreadable$|nothing/);
  await grant(viewerOrigin);
  note('the same, with that permission', 'asks, not paired', await viewer(attempt, info), /^unreadable$/);
  let pairing = viewer(pairInPage, base, await code());
  await consent(false);
  note('the same', 'types a right code, the user says no', await pairing, /^pairing_refused$/);
  pairing = viewer(pairInPage, base, await code());
  await consent(true);
  note('the same', 'types a right code, the user says yes', await pairing, /^paired$/);
  const withToken = async (attemptText, url, options, headers) => {
    const work = new Function(`return ${attemptText}`)();
    return work(url, { ...options, headers: { ...headers, authorization: `Bearer ${globalThis.token}` } });
  };
  const ask = (path, options, headers) => viewer(withToken, String(attempt), base + path, options, headers);
  note('paired', 'asks with its token', await ask('/v1/info'), /^200 .*vesalius/);
  const header = { dims: [2, 2, 2], dtype: 'uint8', space: 'LPS', ijk_to_world: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] };
  const created = await ask('/v1/volumes', { method: 'POST', body: JSON.stringify(header) }, json);
  note('paired', 'makes a volume', created.slice(0, 3), /^201$/);
  const volume = JSON.parse(created.slice(4)).id;
  const put = { method: 'PUT', body: '12345678' };
  const bytes = { 'content-type': 'application/octet-stream' };
  note('paired', 'sends voxels (preflight, PUT)', await ask(`/v1/volumes/${volume}/data?offset=0`, put, bytes), /^200 .*"complete":true/);
  note('paired', 'reads why it is refused', await ask('/v1/jobs/0'), /^404 .*not_found/);
  note('paired', 'lists who else is paired', await ask('/v1/clients'), /^403 .*local_only/);
  const inWorker = (attemptText, url, token) =>
    new Promise(resolve => {
      const text = `(${attemptText})(${JSON.stringify(url)}, {headers: {authorization: 'Bearer ${token}'}}).then(postMessage)`;
      new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))).onmessage = event => resolve(event.data);
    });
  const token = await viewer(() => globalThis.token);
  note('paired', 'asks from a worker', await viewer(inWorker, String(attempt), info, token), /^200/);
  note('paired', 'asks at 0.0.0.0', await viewer(withToken, String(attempt), `http://0.0.0.0:${server.port}/v1/info`), /^unreadable$|^421/);

  const evilOrigin = `https://evil.example:${evilPort}`;
  const evil = await open(`${evilOrigin}/`);
  await grant(evilOrigin);
  const before = volumes();
  const body = JSON.stringify(header);
  const stolen = { authorization: `Bearer ${token}` };
  note('another, with that permission', 'asks', await evil(attempt, `${base}/v1/live`), /^unreadable$/);
  note('another', 'asks with the token of the paired page', await evil(attempt, info, { headers: stolen }), /^unreadable$/);
  note('another', 'asks with the token of this computer\'s programs', await evil(attempt, info, { headers: { authorization: `Bearer ${server.token}` } }), /^unreadable$/);
  note('another', 'posts JSON', await evil(attempt, `${base}/v1/volumes`, { method: 'POST', body, headers: json }), /^unreadable$/);
  note('another', 'posts JSON as text, no-cors', await evil(attempt, `${base}/v1/volumes`, { method: 'POST', body, mode: 'no-cors' }), /^unreadable$/);
  const blob = async (attemptText, url, text) =>
    new Function(`return ${attemptText}`)()(url, { method: 'POST', body: new Blob([text]), mode: 'no-cors' });
  note('another', 'posts JSON without a type, no-cors', await evil(blob, String(attempt), `${base}/v1/volumes`, body), /^unreadable$/);
  const element = (name, url) =>
    new Promise(resolve => {
      const made = Object.assign(document.createElement(name), { src: url, onload: () => resolve('loaded'), onerror: () => resolve('unreadable') });
      document.body.append(made);
    });
  note('another', 'embeds it as an image', await evil(element, 'img', `${base}/v1/live`), /^unreadable$/);
  note('another', 'embeds it as a script', await evil(element, 'script', `${base}/v1/live`), /^unreadable$/);
  const form = url =>
    new Promise(resolve => {
      const frame = Object.assign(document.createElement('iframe'), { name: 'frame' });
      const made = Object.assign(document.createElement('form'), { method: 'POST', action: url, enctype: 'text/plain', target: 'frame' });
      document.body.append(frame, made);
      made.submit();
      setTimeout(() => {
        try {
          resolve(frame.contentDocument?.body?.textContent ? 'loaded' : 'unreadable');
        } catch {
          resolve('unreadable');
        }
      }, 1000);
    });
  note('another', 'posts a form', await evil(form, `${base}/v1/volumes`), /^unreadable$/);
  note('another', 'types a code that is not right, while one waits', await (async () => {
    await code();
    return evil(pairInPage, base, `${server.port}-0000-0000-0000`, true);
  })(), /^pairing_failed$/);
  note('another', 'all of these: volumes, jobs, pairings made', `${volumes() - before} ${(await server.ask('GET', '/v1/jobs')).length} ${(await server.ask('GET', '/v1/clients')).length - 1}`, /^0 0 0$/);

  const plain = await open(`http://plain.example:${plainPort}/`);
  note('http, public', 'asks', await plain(attempt, `${base}/v1/live`), /^unreadable$/);

  const local = await open(`http://127.0.0.1:${localPort}/`);
  note('http, of this computer', 'asks, not paired', await local(attempt, info), /^unreadable$/);
  pairing = local(pairInPage, base, await code());
  await consent(true);
  note('http, of this computer', 'pairs; no permission is needed', await pairing, /^paired$/);
  const clients = await server.ask('GET', '/v1/clients');
  for (const { client_id } of clients) await fetch(`${base}/v1/clients/${client_id}`, { method: 'DELETE', headers: { authorization: `Bearer ${server.token}` } });
  note('paired', 'asks after it was revoked', await ask('/v1/info'), /^unreadable$/);
}

main();
