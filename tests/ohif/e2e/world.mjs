// What all tests share: folders and versions from `tests/ohif/run`, and one set of programs.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, press } from './browser.mjs';
import { freePort, startOrthanc, startSidecar, until, upload } from './programs.mjs';
import { appConfig, serveViewer } from './viewer.mjs';

export const ROOT = path.resolve(fileURLToPath(import.meta.url), '../../../..');
const need = name => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests are started by tests/ohif/run`);
  return value;
};
/** Where everything is that the tests fetch and write. */
export const WORK = need('OHIF_WORK');
export const VERSION = need('OHIF_VERSION');
const BINARY = need('VESALIUS');
const PYTHON = path.join(WORK, 'venv/bin/python');

export function python(script, ...args) {
  const ran = spawnSync(PYTHON, [path.join(ROOT, 'tests/ohif', script), ...args], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
    maxBuffer: 64 << 20,
  });
  if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr}`);
  return ran.stdout;
}

/** A series of make_series.py: its description, with the folder. */
export function series(name) {
  const folder = path.join(WORK, 'series', name);
  if (!fs.existsSync(path.join(folder, 'series.json'))) python('make_series.py', path.join(WORK, 'series'), name);
  return { folder, ...JSON.parse(fs.readFileSync(path.join(folder, 'series.json'), 'utf8')) };
}

/** What `vesalius segment` makes of a series. Made once for all versions. */
export function expected(name) {
  const { folder } = series(name);
  const file = path.join(WORK, 'expected', `${name}.nii.gz`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  if (!fs.existsSync(file) || fs.statSync(file).mtimeMs < fs.statSync(BINARY).mtimeMs) {
    const images = path.join(WORK, 'expected', name);
    fs.rmSync(images, { recursive: true, force: true });
    fs.mkdirSync(images);
    for (const image of fs.readdirSync(folder).filter(image => image.endsWith('.dcm'))) {
      fs.copyFileSync(path.join(folder, image), path.join(images, image));
    }
    const ran = spawnSync(BINARY, ['segment', '-i', images, '-o', file, '--ml', '--task', 'headneck', '-q'], {
      encoding: 'utf8',
    });
    if (ran.status !== 0) throw new Error(`vesalius segment: ${ran.stderr}`);
  }
  return file;
}

/** Makes `total` at 6 mm run in a second: small networks of random weights, which find more structures than a body has. */
function importSmallNetworks(home) {
  const weights = 'tests/reference/golden/weights/Dataset298_TotalSegmentator_total_6mm_1559subj';
  fs.mkdirSync(home, { recursive: true });
  const ran = spawnSync(BINARY, ['models', 'import', path.join(ROOT, weights), '--licence', 'CC0-1.0'], {
    encoding: 'utf8',
    env: { ...process.env, VESALIUS_HOME: home },
  });
  if (ran.status !== 0) throw new Error(`vesalius models import: ${ran.stderr}`);
}

/** A small network that takes prompts, trained for the tests. */
function importPromptable(home) {
  const folder = path.join(ROOT, 'tests/reference/promptable/model');
  fs.mkdirSync(home, { recursive: true });
  const ran = spawnSync(BINARY, ['models', 'import', folder, '--accept-licence'], {
    encoding: 'utf8',
    env: { ...process.env, VESALIUS_HOME: home },
  });
  if (ran.status !== 0) throw new Error(`vesalius models import: ${ran.stderr}`);
}

/** A small network of two channels, DWI and ADC, with random weights. */
function importChannels(home) {
  const folder = path.join(home, 'made/Dataset501_Stroke');
  fs.cpSync(path.join(ROOT, 'tests/reference/nnunet/variants/Dataset901_Regions'), folder, { recursive: true });
  for (const name of fs.readdirSync(folder, { recursive: true }).filter(name => name.endsWith('.json'))) {
    const file = path.join(folder, name);
    const text = fs.readFileSync(file, 'utf8').replaceAll('"CT"', '"DWI"').replaceAll('"PET"', '"ADC"');
    fs.writeFileSync(file, text.replaceAll('CTNormalization', 'ZScoreNormalization').replaceAll('Dataset901_Regions', 'Dataset501_Stroke'));
  }
  const ran = spawnSync(BINARY, ['models', 'import', folder, '--licence', 'CC0-1.0', '--name', 'stroke'], {
    encoding: 'utf8',
    env: { ...process.env, VESALIUS_HOME: home },
  });
  if (ran.status !== 0) throw new Error(`vesalius models import: ${ran.stderr}`);
}

/**
 * Starts archive, sidecar, viewer and browser. `names`: series to store. Options: `networks`: with the small networks; `promptable`: with
 * one that takes prompts; `channels`: with one of two images;
 * `archives`: the sidecar may fetch from the archive;
 * `secure`, `switches`, `token`: of the viewer's web server and the browser.
 */
export async function world(names, options = {}) {
  const scratch = fs.mkdtempSync(path.join(WORK, 'run-'));
  const orthanc = await startOrthanc(path.join(scratch, 'orthanc'));
  const stored = Object.fromEntries(names.map(name => [name, series(name)]));
  for (const { folder } of Object.values(stored)) await upload(orthanc, folder);
  const home = path.join(scratch, 'home');
  if (options.networks) importSmallNetworks(home);
  if (options.promptable) importPromptable(home);
  if (options.channels) importChannels(home);
  const here = {
    orthanc,
    scratch,
    series: stored,
    sidecar: undefined,
    restartSidecar: async () => {
      here.sidecar = await startSidecar(BINARY, home, here.sidecar.port, allowed());
    },
    /** Options of the viewer's web server, read at each request. */
    options,
  };
  here.viewer = await serveViewer({
    dist: path.join(WORK, 'viewers', VERSION, 'package/dist'),
    plugin: path.join(ROOT, 'ohif-plugin/dist/index.js'),
    proxy: {
      '/dicom-web': { port: orthanc.port },
      // The viewer's own web server lets users in, and signs for them.
      '/vesalius': () => ({
        port: here.sidecar.port,
        strip: true,
        headers: { authorization: `Bearer ${options.token ?? here.sidecar.token}` },
        drop: ['origin'],
      }),
    },
    secure: options.secure ? scratch : undefined,
  });
  // The page knows the archive by the viewer's own address.
  const allowed = () => (options.archives ? ['--allow-dicomweb', `${here.viewer.origin}/dicom-web`] : []);
  here.sidecar = await startSidecar(BINARY, home, await freePort(), allowed());
  here.configure = (settings = {}, more = {}) => {
    here.viewer.config = appConfig({ settings, ...more });
  };
  here.browser = await launch(options.switches?.(here.viewer.port));
  // What `vesalius pair` or 3D Slicer's panel does on this computer's side.
  here.pair = async page => {
    const { json } = await here.sidecar.ask('pair', 'POST', {});
    await page.locator('[data-cy=vesalius-code]').fill(json.code);
    await press(page, 'vesalius-pair');
    const asked = await until(async () => {
      const now = (await here.sidecar.ask('pair')).json;
      return now.state === 'asking' && now;
    }, 'the page has shown that it knows the code');
    await here.sidecar.ask('pair/answer', 'POST', { allow: true });
    return asked;
  };
  here.context = (viewport = { width: 1400, height: 900 }) => here.browser.newContext({ viewport, ignoreHTTPSErrors: true });
  here.close = async () => {
    await here.browser.close();
    await here.viewer.close();
    await here.sidecar.stop();
    await orthanc.stop();
    fs.rmSync(scratch, { recursive: true, force: true });
  };
  return here;
}

/** Compares what the viewer shows with what `vesalius segment` wrote. */
export function compare(here, name, shown) {
  const file = path.join(here.scratch, `${name}.json`);
  fs.writeFileSync(file, JSON.stringify(shown));
  return JSON.parse(python('compare.py', here.series[name].folder, expected(name), file));
}

/** What another reader finds in a DICOM SEG of the newest job: `about` it, and its labels as `shown`. */
export async function readSeg(here, name, file) {
  const [job] = (await here.sidecar.ask('jobs')).json;
  const { json } = await here.sidecar.ask(`jobs/${job.id}/segmentation`);
  const [values, out] = ['names.json', 'seg.json'].map(each => path.join(here.scratch, each));
  fs.writeFileSync(values, JSON.stringify(Object.fromEntries(json.segments.map(({ name: label, value }) => [label, value]))));
  const about = JSON.parse(python('check_seg.py', file, here.series[name].folder, values, out));
  return { about, shown: JSON.parse(fs.readFileSync(out, 'utf8')) };
}

/** The DICOM SEGs of a series' study in the archive, as files of this computer. */
export async function storedSegs(here, name) {
  const ask = async (what, options) => (await fetch(`${here.orthanc.root}/${what}`, options)).json();
  const query = { Level: 'Instance', Query: { Modality: 'SEG', StudyInstanceUID: here.series[name].study } };
  const ids = await ask('tools/find', { method: 'POST', body: JSON.stringify(query) });
  const files = ids.map(async id => {
    const file = path.join(here.scratch, `${id}.dcm`);
    const bytes = await (await fetch(`${here.orthanc.root}/instances/${id}/file`)).arrayBuffer();
    fs.writeFileSync(file, Buffer.from(bytes));
    return file;
  });
  return Promise.all(files);
}
