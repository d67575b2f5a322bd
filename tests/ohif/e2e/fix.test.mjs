// Correction in the viewer, with real clicks, its own brush and its own undo: after each step the viewer holds the labels of
// the session, voxel for voxel.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { count, inside, paint, settled as same } from './correcting.mjs';
import { until } from './programs.mjs';
import { world } from './world.mjs';

const PAROTID = 4;

let here;
let page;
let sources;
let session;
before(async () => {
  here = await world(['short']);
  here.configure({ transport: 'relay' });
  page = await openStudy(await here.context(), here.viewer.origin, here.series.short.study, { mode: 'segmentation' });
  await openPanel(page);
  await here.pair(page);
  await connected(page);
  assert.equal(await segment(page), undefined);
  const [job] = (await here.sidecar.ask('jobs')).json;
  ({ sources } = (await here.sidecar.ask(`volumes/${job.volume}`)).json);
});
after(() => here?.close());

const state = async () => (await here.sidecar.ask(`sessions/${session}`)).json;

const settled = revision => same(here, page, session, sources, revision);

let at;
let counts = [];

test('Fix begins a session with the labels that are shown', async () => {
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 180_000 });
  const [only] = (await here.sidecar.ask('sessions')).json;
  session = only.id;
  counts.push(count(await settled(0), PAROTID));
  assert.ok(counts[0] > 50, `${counts[0]} voxels`);
});

test('Ctrl-click takes away, and the wheel walks through the answers', async () => {
  at = await inside(page, PAROTID);
  if (process.env.OHIF_SHOTS) await page.screenshot({ path: path.join(process.env.OHIF_SHOTS, 'fix_before.png'), timeout: 120_000 });
  await page.mouse.move(at.x, at.y);
  await page.keyboard.down('Control');
  await page.mouse.click(at.x, at.y, { delay: 60 });
  await page.keyboard.up('Control');
  counts.push(count(await settled(1), PAROTID));
  assert.ok(counts[1] < counts[0], `${counts}`);
  const { candidates, chosen } = await state();
  assert.ok(candidates.length > 1, JSON.stringify(candidates));
  await page.mouse.wheel(0, chosen > 0 ? 120 : -120);
  const turned = count(await settled(2), PAROTID);
  assert.notEqual(turned, counts[1]);
  await page.mouse.wheel(0, chosen > 0 ? -120 : 120);
  assert.equal(count(await settled(3), PAROTID), counts[1]);
  if (process.env.OHIF_SHOTS) await page.screenshot({ path: path.join(process.env.OHIF_SHOTS, 'fix_after.png'), timeout: 120_000 });
});

test('a click adds to the structure at the pointer', async () => {
  await page.locator('[data-cy=vesalius-target]').selectOption(String(PAROTID));
  await page.mouse.move(at.x + 60, at.y + 60);
  await page.mouse.click(at.x, at.y, { delay: 60 });
  counts.push(count(await settled(4), PAROTID));
  assert.ok(counts[2] > counts[1], `${counts}`);
});

test('the viewer’s own undo and redo take it back and make it again', async () => {
  await page.evaluate(() => window.commandsManager.run('undo'));
  assert.equal(count(await settled(5), PAROTID), counts[1]);
  await page.keyboard.press('Control+z');
  assert.equal(count(await settled(6), PAROTID), counts[0]);
  await page.evaluate(() => window.commandsManager.run('redo'));
  await settled(7);
  await page.evaluate(() => window.commandsManager.run('redo'));
  assert.equal(count(await settled(8), PAROTID), counts[2]);
});

test('the viewer’s own brush counts, and so does its undo', async () => {
  const start = count(await settled(8), 5);
  await paint(page, at, 5);
  await page.getByText('The viewer’s own tool edits now').waitFor();
  const painted = count(await settled(9), 5);
  assert.ok(painted > start, `${start} ${painted}`);
  await page.evaluate(() => window.commandsManager.run('undo'));
  assert.equal(count(await settled(10), 5), start);
  await page.evaluate(() => window.commandsManager.run('redo'));
  assert.equal(count(await settled(11), 5), painted);
  // And back to clicks.
  await press(page, 'vesalius-fix');
  await page.getByText('Ctrl-click where it is too much').waitFor();
  await page.keyboard.down('Control');
  await page.mouse.click(at.x, at.y, { delay: 60 });
  await page.keyboard.up('Control');
  await settled(12);
});

test('structures are accepted and locked, and doubtful places gone to', async () => {
  await page.locator('[data-cy=vesalius-item-mandible] [data-cy=vesalius-accept]').dispatchEvent('click');
  await settled(13);
  await page.locator('[data-cy=vesalius-item-parotid_gland_left] [data-cy=vesalius-lock]').dispatchEvent('click');
  await settled(14);
  const { structures } = await state();
  const about = name => structures.find(structure => structure.name === name);
  assert.deepEqual([about('mandible').status, about('parotid_gland_left').locked], ['accepted', true]);
  // What is locked stays, whoever tries.
  await page.keyboard.down('Control');
  await page.mouse.click(at.x, at.y + 2, { delay: 60 });
  await page.keyboard.up('Control');
  await page.locator('[data-cy=vesalius-notice]').getByText('locked').waitFor({ timeout: 180_000 });
  await settled(14);
  await press(page, 'vesalius-next');
  await settled(14);
  const places = (await here.sidecar.ask(`sessions/${session}/suspicious`)).json;
  if (places.places.length) await page.getByText(`Doubtful place 1 of ${places.places.length}`).waitFor();
});

test('a session is gone on with, and what is saved is what was corrected', async () => {
  await page.reload();
  await openPanel(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-offers]').getByText('Show').first().dispatchEvent('click');
  await page.locator('[data-cy=vesalius-result]').waitFor({ timeout: 180_000 });
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 180_000 });
  const held = await settled(14);
  assert.deepEqual(page.errors, []);
  const saved = page.waitForRequest(request => request.url().includes('format=dicom-seg'));
  await press(page, 'vesalius-save');
  assert.match((await saved).url(), new RegExp(`/v1/sessions/${session}/labels`));
  await page.getByText('Saved to PACS').waitFor({ timeout: 180_000 });
  assert.ok(count(held, PAROTID) > 0);
  assert.equal((await until(async () => (await here.sidecar.ask('sessions')).json, 'sessions')).length, 1);
});
