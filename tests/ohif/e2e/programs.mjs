// The real programs of the tests: Orthanc with DICOMweb, and `vesalius serve`. Each in a folder of its own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

/** A port that nobody uses. */
export async function freePort() {
  const server = net.createServer();
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Waits until `check` gives something. */
export async function until(check, what, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await Promise.resolve().then(check).catch(() => undefined);
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

function start(command, args, log, env = {}) {
  const output = fs.openSync(log, 'w');
  const child = spawn(command, args, { stdio: ['ignore', output, output], env: { ...process.env, ...env } });
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.once('error', error => {
    throw error;
  });
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    await ended;
  };
  process.once('exit', () => child.kill('SIGKILL'));
  return { child, stop, ended };
}

/** An empty archive. */
export async function startOrthanc(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const plugins = [
    '/usr/share/orthanc/plugins/libOrthancDicomWeb.so',
    '/usr/lib/orthanc/plugins/libOrthancDicomWeb.so',
  ].filter(name => fs.existsSync(name));
  if (!plugins.length) throw new Error('Orthanc’s DICOMweb plugin is missing: apt-get install orthanc-dicomweb');
  const settings = {
    Name: 'tests',
    StorageDirectory: folder,
    IndexDirectory: folder,
    Plugins: plugins,
    HttpPort: port,
    HttpBindAddresses: ['127.0.0.1'],
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomServerEnabled: false,
    OverwriteInstances: true,
    DicomWeb: { Enable: true, Root: '/dicom-web/', EnableWado: false, StudiesMetadata: 'Full', SeriesMetadata: 'Full' },
  };
  const config = path.join(folder, 'orthanc.json');
  fs.writeFileSync(config, JSON.stringify(settings));
  const { child, stop } = start(process.env.ORTHANC ?? 'Orthanc', [config], path.join(folder, 'orthanc.log'));
  const root = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${root}/system`)).ok, 'Orthanc starts');
  return { port, root, stop, pid: child.pid };
}

/** Stores the images of a folder. */
export async function upload(orthanc, folder) {
  for (const name of fs.readdirSync(folder).filter(name => name.endsWith('.dcm'))) {
    const stored = await fetch(`${orthanc.root}/instances`, {
      method: 'POST',
      body: fs.readFileSync(path.join(folder, name)),
    });
    if (!stored.ok) throw new Error(`Orthanc did not take ${name}: ${stored.status}`);
  }
}

/** The sidecar. `home` keeps its pairings from one start to the next. */
export async function startSidecar(binary, home, port, more = []) {
  fs.mkdirSync(home, { recursive: true });
  const env = { VESALIUS_HOME: home };
  const program = start(binary, ['serve', '--port', String(port), ...more], path.join(home, 'serve.log'), env);
  const endpoint = path.join(home, 'run/endpoint.json');
  const found = await until(() => {
    const read = JSON.parse(fs.readFileSync(endpoint, 'utf8'));
    return read.pid === program.child.pid && read;
  }, 'vesalius serve starts');
  const ask = async (route, method = 'GET', body = undefined) => {
    const answer = await fetch(`http://127.0.0.1:${found.port}/v1/${route}`, {
      method,
      headers: {
        Authorization: `Bearer ${found.token}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
  };
  return { ...program, port: found.port, token: found.token, home, env, ask };
}
