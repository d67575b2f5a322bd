// Corrections that must not get lost, and what a click cannot say: strokes before Fix, another viewer, a restart; boxes,
// pieces, edges, slices and a network's opinion.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { count, differing, inside, labelsHeld, labelsSeen, paint, settled as same } from './correcting.mjs';
import { until } from './programs.mjs';
import { world } from './world.mjs';

const [PAROTID, MANDIBLE] = [4, 5];

let here;
let page;
let sources;
let session;
let at;
let revision = 0;
before(async () => {
  here = await world(['short'], { promptable: true });
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

const settled = (more = 1) => same(here, page, session, sources, (revision += more));
const shot = async name => {
  const folder = process.env.OHIF_SHOTS;
  if (folder) await page.screenshot({ path: path.join(folder, `${name}.png`), timeout: 120_000 });
};
const ghost = () => page.locator('[data-cy=vesalius-ghost]');

test('what the viewer’s brush drew before Fix is an edit of the session', async () => {
  at = await inside(page, PAROTID);
  const found = await labelsSeen(page, sources);
  await paint(page, at, MANDIBLE);
  const painted = await labelsSeen(page, sources);
  assert.ok(differing(found, painted) > 20);
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 180_000 });
  [{ id: session }] = (await here.sidecar.ask('sessions')).json;
  const held = await settled();
  assert.equal(differing(held, painted), 0);
  const { structures } = (await here.sidecar.ask(`sessions/${session}`)).json;
  assert.equal(structures.find(({ value }) => value === MANDIBLE).status, 'edited');
});

test('while the pointer rests, what a click would do is drawn over the pane, and nothing changes', async () => {
  const before = await labelsHeld(here, session);
  const there = { x: at.x + 14, y: at.y };
  await page.mouse.move(there.x - 20, there.y);
  await page.mouse.move(there.x, there.y, { steps: 4 });
  await ghost().waitFor({ timeout: 180_000 });
  const painted = await ghost().evaluate(canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let [n, x, y] = [0, 0, 0];
    for (let v = 3; v < data.length; v += 4) {
      if (!data[v]) continue;
      n += 1;
      x += ((v - 3) / 4) % canvas.width;
      y += Math.floor((v - 3) / 4 / canvas.width);
    }
    const box = canvas.getBoundingClientRect();
    return { n, x: box.x + x / n, y: box.y + y / n };
  });
  assert.ok(painted.n >= 40, `${painted.n} pixels`);
  assert.ok(Math.hypot(painted.x - there.x, painted.y - there.y) < 80, JSON.stringify([painted, there]));
  await shot('ghost');
  await page.mouse.move(there.x + 200, there.y + 200);
  await ghost().waitFor({ state: 'detached' });
  assert.equal(differing(await labelsHeld(here, session), before), 0);
  await settled(0);
});

test('a box with Shift changes nothing beyond it', async () => {
  await page.locator('[data-cy=vesalius-target]').selectOption(String(PAROTID));
  const before = await labelsHeld(here, session);
  await page.keyboard.down('Shift');
  await page.mouse.move(at.x - 30, at.y - 30);
  await page.mouse.down();
  await page.mouse.move(at.x + 30, at.y + 30, { steps: 8 });
  await shot('box');
  await page.mouse.up();
  await page.keyboard.up('Shift');
  const now = await settled();
  const { event } = await lastEvent();
  assert.ok(event.action.prompt.shape.box, JSON.stringify(event.action));
  const [[x0, y0, z0], [x1, y1, z1]] = event.action.prompt.shape.box.corners;
  const sides = [x1 - x0, y1 - y0, z1 - z0].map(Math.abs).sort((a, b) => a - b);
  assert.ok(sides[0] > 5 && Math.abs(sides[0] - sides[1]) < 2, `${sides}`);
  assert.ok(count(now, PAROTID) > count(before, PAROTID));
});

async function lastEvent() {
  const answer = await fetch(`http://127.0.0.1:${here.sidecar.port}/v1/sessions/${session}/events?since=${revision - 1}`, {
    headers: { Authorization: `Bearer ${here.sidecar.token}` },
  });
  const [event] = (await answer.text()).trim().split('\n').map(line => JSON.parse(line));
  return { event };
}

test('pieces are dropped and kept, and one undo takes each back', async () => {
  const before = await labelsHeld(here, session);
  await page.keyboard.press('d');
  await page.getByText('Click the piece that goes').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('Click the piece that goes').waitFor({ state: 'detached' });
  await press(page, 'vesalius-drop');
  await page.mouse.click(at.x, at.y, { delay: 60 });
  const dropped = await settled();
  assert.ok((await lastEvent()).event.action.tool.drop);
  assert.ok(count(dropped, PAROTID) < count(before, PAROTID));
  await page.keyboard.press('Control+z');
  assert.equal(differing(await settled(), before), 0);
  await page.locator('[data-cy=vesalius-target]').selectOption('0');
  await page.keyboard.press('o');
  await page.mouse.click(at.x, at.y, { delay: 60 });
  // All of it may hang together: then nothing can change, and the panel says so.
  const notice = page.locator('[data-cy=vesalius-notice]');
  await page.locator(`[data-cy=vesalius-fixing][data-revision="${revision + 1}"]`).or(notice).first().waitFor();
  if (!(await notice.count())) await settled();
  await page.keyboard.press('o');
  await page.mouse.click(at.x + 130, at.y + 130, { delay: 60 });
  await notice.getByText('There is no structure here').waitFor({ timeout: 180_000 });
});

test('a boundary snaps to edges, and slices between drawn ones are filled', async () => {
  await page.locator('[data-cy=vesalius-target]').selectOption(String(MANDIBLE));
  await press(page, 'vesalius-snap');
  await settled();
  assert.deepEqual((await lastEvent()).event.action.tool.snap, { label: MANDIBLE, within_mm: 3 });
  await page.locator('[data-cy=vesalius-target]').selectOption(String(PAROTID));
  // Every other slice of the gland goes, as if only some had been drawn.
  const { structures } = (await here.sidecar.ask(`sessions/${session}`)).json;
  const full = structures.find(({ value }) => value === PAROTID).voxels;
  await page.evaluate(value => {
    const { cornerstone, cornerstoneTools } = window;
    const [{ segmentationId, representationData }] = window.services.segmentationService.getSegmentations().slice(-1);
    representationData.Labelmap.imageIds.forEach((id, n) => {
      if (n % 2 === 0) return;
      const pixels = cornerstone.cache.getImage(id).voxelManager.getScalarData();
      pixels.forEach((found, v) => {
        if (found === value) pixels[v] = 0;
      });
    });
    cornerstoneTools.segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(segmentationId);
  }, PAROTID);
  const half = count(await settled(), PAROTID);
  assert.ok(half < 0.7 * full, `${half} of ${full}`);
  await press(page, 'vesalius-fill');
  const filled = count(await settled(), PAROTID);
  assert.ok(filled > 1.3 * half, `${filled} of ${full}, ${half} before`);
});

test('a network is asked about the last click, and its answer is shown as one more', async () => {
  await page.keyboard.down('Control');
  await page.mouse.click(at.x, at.y, { delay: 60 });
  await page.keyboard.up('Control');
  await settled();
  const title = await page.locator('[data-cy=vesalius-ask]').getAttribute('title');
  assert.match(title, /from .+ \(.+\)/);
  await press(page, 'vesalius-ask');
  const disagrees = page.locator('[data-cy=vesalius-notice]').getByText('does not agree');
  await page.locator(`[data-cy=vesalius-fixing][data-revision="${revision + 1}"]`).or(disagrees).first().waitFor({ timeout: 120_000 });
  if (await disagrees.count()) return void (await settled(0));
  await settled();
  const { candidates, chosen } = (await here.sidecar.ask(`sessions/${session}`)).json;
  assert.equal(candidates[chosen].source, 'network');
  await shot('tools');
});

test('a network that does not agree with the click changes nothing, and the panel says so', async () => {
  const { json } = await here.sidecar.ask(`sessions/${session}`);
  const seen = { revision: json.revision, candidates: json.candidates, chosen: json.chosen, label: json.label };
  await page.route('**/propose', route => route.fulfill({ json: seen }), { times: 1 });
  await press(page, 'vesalius-ask');
  await page.locator('[data-cy=vesalius-notice]').getByText('The network does not agree with the click').waitFor();
  await settled(0);
});

test('what another viewer does in the same session is followed', async () => {
  const { json } = await here.sidecar.ask(`sessions/${session}`);
  // Whichever of both can change something there by now.
  let answer;
  for (const sign of ['add', 'remove']) {
    if (answer?.status === 200) break;
    answer = await here.sidecar.ask(`sessions/${session}/operations`, 'POST', {
      operation: crypto.randomUUID(),
      base: json.revision,
      seconds: 1,
      action: { prompt: { shape: { point: at.place }, sign, label: PAROTID } },
    });
  }
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  await settled();
  await here.sidecar.ask(`sessions/${session}/operations`, 'POST', {
    operation: crypto.randomUUID(),
    base: answer.json.revision,
    seconds: 1,
    action: { lock: [PAROTID, true] },
  });
  await settled();
  await page.locator('[data-cy=vesalius-item-parotid_gland_left] [data-cy=vesalius-lock][aria-pressed=true]').waitFor();
});

test('all structures are accepted at once', async () => {
  await press(page, 'vesalius-accept-all');
  await settled();
  const { structures } = (await here.sidecar.ask(`sessions/${session}`)).json;
  assert.deepEqual(structures.filter(({ voxels, status }) => voxels > 0 && status !== 'accepted'), []);
  await page.locator('[data-cy=vesalius-accept-all][disabled]').waitFor();
});

test('after a restart of both, Show gives the result as it was corrected', async () => {
  const held = await labelsHeld(here, session);
  await here.sidecar.stop();
  await here.restartSidecar();
  await page.reload();
  await openPanel(page);
  await connected(page);
  const offer = page.locator('[data-cy=vesalius-offers] .row', { hasText: 'corrected' });
  await offer.getByText('Show').dispatchEvent('click', {}, { timeout: 180_000 });
  await page.locator('[data-cy=vesalius-result]').waitFor({ timeout: 180_000 });
  assert.equal(differing(await labelsSeen(page, sources), held), 0);
  await paint(page, at, MANDIBLE);
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing]').waitFor({ timeout: 180_000 });
  await settled();
  assert.deepEqual(page.errors, []);
  assert.equal((await until(async () => (await here.sidecar.ask('sessions')).json, 'sessions')).length, 1);
});
