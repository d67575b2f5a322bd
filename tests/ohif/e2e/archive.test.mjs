// DICOM through the browser, results offered again, and Save to PACS: what was saved shows the same voxels when reopened.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, press, segment, showSaved } from './browser.mjs';
import { until } from './programs.mjs';
import { compare, readSeg, storedSegs, world } from './world.mjs';

let here;
let page;
before(async () => {
  here = await world(['short', 'dwi']);
  here.configure({ transport: 'relay' });
  const context = await here.context();
  // What waits for most of an hour waits for the test instead.
  await context.addInitScript(() => {
    const { setTimeout: wait } = window;
    window.later = [];
    window.setTimeout = (work, ms, ...more) => (ms >= 30 * 60 * 1000 ? window.later.push(work) : wait(work, ms, ...more));
  });
  page = await openStudy(context, here.viewer.origin, here.series.short.study);
  await openPanel(page);
  await here.pair(page);
  await connected(page);
});
after(() => here?.close());

test('DICOM relayed with the viewer’s login gives the labels of vesalius segment', async () => {
  const asked = [];
  page.on('request', request => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  assert.equal(await segment(page), undefined);
  const { study, series } = here.series.short;
  assert.deepEqual(
    asked.filter(line => line.endsWith(`/studies/${study}/series/${series}`)),
    [`GET /dicom-web/studies/${study}/series/${series}`],
  );
  const found = compare(here, 'short', await labelsShown(page));
  assert.deepEqual([found.images, found.differing, found.same_counts], [40, 0, true]);
  assert.ok(found.labelled > 1000);
});

test('an archive that takes nothing: the panel says so, and it can be tried again', async () => {
  here.viewer.refuses = ({ method, url }) => method === 'POST' && url.startsWith('/dicom-web/studies');
  await press(page, 'vesalius-save');
  await page.getByText('The archive did not take it (HTTP 403)').waitFor();
  here.viewer.refuses = undefined;
  await page.locator('[data-cy=vesalius-save]:enabled').waitFor();
  assert.deepEqual(await storedSegs(here, 'short'), []);
});

test('Save to PACS stores a DICOM SEG that another reader reads alike', async () => {
  await press(page, 'vesalius-save');
  await page.getByText('Saved to PACS').waitFor({ timeout: 180_000 });
  const [file, ...others] = await storedSegs(here, 'short');
  assert.equal(others.length, 0);
  const { about, shown } = await readSeg(here, 'short', file);
  assert.deepEqual([about.type, about.overlapping, about.patient], ['BINARY', false, 'TEST-SHORT']);
  assert.equal(about.study, here.series.short.study);
  const [[, parotid]] = Object.entries(about.codes).filter(([name]) => /parotid.gland.left/i.test(name));
  assert.deepEqual(parotid, ['SCT', '45289007', 'Left', 'AUTOMATIC']);
  const found = compare(here, 'short', shown);
  assert.deepEqual([found.images, found.differing], [40, 0]);
});

test('what is still looked at when the sidecar is about to forget the job is kept by a session', async () => {
  assert.deepEqual((await here.sidecar.ask('sessions')).json, []);
  assert.equal(await page.evaluate(() => window.later.splice(0).map(work => work()).length), 1);
  const [job] = (await here.sidecar.ask('jobs')).json;
  const [session] = await until(async () => {
    const { json } = await here.sidecar.ask('sessions');
    return json.length && json;
  }, 'a session is begun');
  assert.equal(session.job, job.id);
});

test('it is listed at once, and shows the same voxels', async () => {
  assert.ok(await showSaved(page), 'the SEG is not in the list of series');
  const found = compare(here, 'short', await labelsShown(page));
  assert.deepEqual([found.images, found.differing], [40, 0]);
});

test('results are offered again when the study is opened again', async () => {
  await page.reload();
  await openPanel(page);
  await connected(page);
  const offers = page.locator('[data-cy=vesalius-offers]');
  await offers.waitFor({ timeout: 180_000 });
  await offers.getByText('Show').first().dispatchEvent('click');
  await page.locator('[data-cy=vesalius-result]').waitFor({ timeout: 180_000 });
  const found = compare(here, 'short', await labelsShown(page));
  assert.deepEqual([found.images, found.differing], [40, 0]);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
