// What goes wrong is a sentence in the panel, and the viewer works on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, finished, openPanel, openStudy, press, segment } from './browser.mjs';
import { world } from './world.mjs';

let here;
before(async () => {
  here = await world(['short', 'one']);
});
after(() => here?.close());

async function open(name, settings = { url: '/vesalius', transport: 'voxels' }, more = {}) {
  here.configure(settings, more);
  const context = await here.context();
  const page = await openStudy(context, here.viewer.origin, here.series[name].study);
  return page;
}

/** The viewer still shows other images when it is asked to. */
async function isUnharmed(page) {
  assert.deepEqual(page.errors, []);
  const shown = () =>
    page.evaluate(() => window.cornerstone.getRenderingEngines()[0].getViewports()[0].getCurrentImageIdIndex?.());
  const before = await shown();
  await page.mouse.move(700, 450);
  await page.mouse.wheel(0, before > 20 ? -300 : 300);
  await page.waitForTimeout(1000);
  assert.notEqual(await shown(), before);
}

test('a plugin that is a 404 leaves the viewer as it was', async () => {
  const page = await open('short', {}, { plugin: '/plugins/nowhere/index.js' });
  assert.equal(await page.locator('[data-cy=VesaliusButton]').count(), 0);
  await isUnharmed(page);
  await page.context().close();
});

test('a setting that sends images elsewhere is refused, and the viewer starts', async () => {
  const page = await open('short', { url: 'https://elsewhere.example' });
  await page.waitForTimeout(1000);
  assert.equal(await page.locator('vesalius-panel').count(), 0);
  await isUnharmed(page);
  await page.context().close();
});

test('a series of one slice', async () => {
  const page = await open('one');
  await openPanel(page);
  await connected(page);
  assert.match((await segment(page)) ?? '', /one slice/);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('a wrong token', async () => {
  here.options.token = 'wrong';
  const page = await open('short');
  await openPanel(page);
  await connected(page, 'refused');
  await page.getByText('does not let this viewer in').waitFor();
  here.options.token = undefined;
  await page.getByText('Try again').click();
  await connected(page);
  await isUnharmed(page);
  await page.context().close();
});

test('cancelled', async () => {
  const page = await open('short');
  await openPanel(page);
  await connected(page);
  await press(page, 'vesalius-run');
  await press(page, 'vesalius-cancel');
  assert.match((await finished(page)) ?? '', /Cancelled/);
  assert.equal(await segment(page), undefined);
  await page.context().close();
});

test('the sidecar is killed in the middle, and comes back', async () => {
  const page = await open('short');
  await openPanel(page);
  await connected(page);
  await press(page, 'vesalius-run');
  // The stream of the job's progress is open by then, and breaks off.
  await page.getByText('Inference').waitFor();
  await here.sidecar.stop('SIGKILL');
  assert.match((await finished(page)) ?? '', /broke off/);
  await connected(page, 'not-running');
  await isUnharmed(page);
  await here.restartSidecar();
  // Found without a click.
  await connected(page, 'ready');
  assert.equal(await segment(page), undefined);
  await page.context().close();
});

test('the study is left while it runs', async () => {
  const page = await open('short');
  await openPanel(page);
  await connected(page);
  await press(page, 'vesalius-run');
  await page.locator('[data-cy=vesalius-progress]').waitFor();
  await page.evaluate(() => {
    window.history.pushState({}, '', '/');
    window.dispatchEvent(new PopStateEvent('popstate'));
  });
  await page.getByText('Study list', { exact: false }).first().waitFor();
  while (!(await here.sidecar.ask('jobs')).json.every(({ state }) => state !== 'running' && state !== 'queued')) {
    await page.waitForTimeout(200);
  }
  await page.waitForTimeout(1000);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
