// Correction in the viewer, with real clicks, its own brush and its own undo: after each step the viewer holds the labels of
// the session, voxel for voxel.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, press, segment } from './browser.mjs';
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

/** Waits until the session has this revision and the panel has nothing to do; then both must hold the same labels. */
async function settled(revision) {
  await page
    .locator(`[data-cy=vesalius-fixing][data-revision="${revision}"][data-busy=false]`)
    .waitFor({ timeout: 60_000 })
    .catch(async error => {
      const notice = await page.locator('[data-cy=vesalius-notice]').allInnerTexts();
      const card = await page.locator('[data-cy=vesalius-fixing]').evaluateAll(all => all.map(one => ({ ...one.dataset })));
      throw new Error(`revision ${revision}: ${notice} ${JSON.stringify(card)} ${error.message.slice(0, 80)}`);
    });
  const held = Buffer.from(await (await fetch(`http://127.0.0.1:${here.sidecar.port}/v1/sessions/${session}/labels`, {
    headers: { Authorization: `Bearer ${here.sidecar.token}` },
  })).arrayBuffer());
  const { slices } = await labelsShown(page);
  const shown = Buffer.concat(sources.map(source => Buffer.from(slices[source], 'base64')));
  assert.equal(shown.length, held.length);
  let differing = 0;
  for (let v = 0; v < held.length; v += 1) if (held[v] !== shown[v]) differing += 1;
  assert.equal(differing, 0, `${differing} voxels differ at revision ${revision}`);
  return held;
}

const count = (labels, value) => labels.reduce((sum, label) => sum + (label === value), 0);

/** Where on the page a voxel of a label is, well inside of it, in the slice that is shown. */
async function inside(value) {
  await page.locator('[data-cy=vesalius-item-parotid_gland_left] .name').dispatchEvent('click');
  await page.waitForTimeout(1500);
  return page.evaluate(value => {
    const { cornerstone } = window;
    const viewport = cornerstone.getRenderingEngines()[0].getViewports()[0];
    const [{ representationData }] = window.services.segmentationService.getSegmentations().slice(-1);
    const wanted = viewport.getCurrentImageId();
    const label = representationData.Labelmap.imageIds
      .map(id => cornerstone.cache.getImage(id))
      .find(image => image.referencedImageId === wanted);
    const pixels = label.voxelManager.getScalarData();
    let [n, x, y] = [0, 0, 0];
    pixels.forEach((found, at) => {
      if (found !== value) return;
      n += 1;
      x += at % label.columns;
      y += Math.floor(at / label.columns);
    });
    const plane = cornerstone.metaData.get('imagePlaneModule', wanted);
    const place = plane.imagePositionPatient.map(
      (side, axis) =>
        side + (x / n) * plane.columnPixelSpacing * plane.rowCosines[axis] + (y / n) * plane.rowPixelSpacing * plane.columnCosines[axis],
    );
    const [cx, cy] = viewport.worldToCanvas(place);
    const box = viewport.element.getBoundingClientRect();
    return { x: box.x + cx, y: box.y + cy, n };
  }, value);
}

let at;
let counts = [];

test('Fix begins a session with the labels that are shown', async () => {
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 60_000 });
  const [only] = (await here.sidecar.ask('sessions')).json;
  session = only.id;
  counts.push(count(await settled(0), PAROTID));
  assert.ok(counts[0] > 50, `${counts[0]} voxels`);
});

test('Ctrl-click takes away, and the wheel walks through the answers', async () => {
  at = await inside(PAROTID);
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
  await page.evaluate(() => {
    const { segmentationService, toolGroupService } = window.services;
    const [{ segmentationId }] = segmentationService.getSegmentations().slice(-1);
    segmentationService.setActiveSegment(segmentationId, 5);
    const toolGroupIds = toolGroupService.getToolGroupIds().filter(id => toolGroupService.getToolGroup(id).hasTool('CircularBrush'));
    window.commandsManager.run('setToolActiveToolbar', { toolName: 'CircularBrush', toolGroupIds });
  });
  await page.getByText('The viewer’s own tool edits now').waitFor();
  const start = count(await settled(8), 5);
  await page.mouse.move(at.x - 90, at.y - 40);
  await page.mouse.down();
  for (let n = 0; n <= 6; n += 1) await page.mouse.move(at.x - 90 + 6 * n, at.y - 40, { steps: 2 });
  await page.mouse.up();
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
  await page.locator('[data-cy=vesalius-notice]').getByText('locked').waitFor({ timeout: 30_000 });
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
  await page.locator('[data-cy=vesalius-result]').waitFor({ timeout: 60_000 });
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 60_000 });
  const held = await settled(14);
  assert.deepEqual(page.errors, []);
  const saved = page.waitForRequest(request => request.url().includes('format=dicom-seg'));
  await press(page, 'vesalius-save');
  assert.match((await saved).url(), new RegExp(`/v1/sessions/${session}/labels`));
  await page.getByText('Saved to PACS').waitFor({ timeout: 60_000 });
  assert.ok(count(held, PAROTID) > 0);
  assert.equal((await until(async () => (await here.sidecar.ask('sessions')).json, 'sessions')).length, 1);
});
