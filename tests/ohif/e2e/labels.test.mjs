// All 117 structures of `total` at once: found in the list, shown, hidden and gone to one by one, in all panes.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, openPanel, openStudy, segment } from './browser.mjs';
import { until } from './programs.mjs';
import { world } from './world.mjs';

/** Cells along each axis: enough for one structure each. */
const CELLS = 5;

let here;
let page;
before(async () => {
  here = await world(['hfs'], { networks: true });
});
after(() => here?.close());

/** Labels 1 to 117, each a ball in a cell of its own, and the middle of each `[i, j, k]`. */
function balls([columns, rows, depth]) {
  const labels = Buffer.alloc(columns * rows * depth);
  const side = [columns, rows, depth].map(length => Math.floor(length / CELLS));
  const middles = new Map();
  for (let value = 1; value <= 117; value += 1) {
    const cell = [value % CELLS, Math.floor(value / CELLS) % CELLS, Math.floor(value / CELLS ** 2)];
    const middle = cell.map((n, axis) => n * side[axis] + Math.floor(side[axis] / 2));
    const radius = 0.45 * Math.min(...side);
    middles.set(value, middle);
    const reach = Math.ceil(radius);
    for (let k = -reach; k <= reach; k += 1)
      for (let j = -reach; j <= reach; j += 1)
        for (let i = -reach; i <= reach; i += 1) {
          if (Math.hypot(i, j, k) > radius) continue;
          labels[((middle[2] + k) * rows + middle[1] + j) * columns + middle[0] + i] = value;
        }
  }
  return { labels, middles };
}

let middles;
async function shown(query, size) {
  here.configure({ url: '/vesalius', transport: 'voxels' });
  const opened = await openStudy(await here.context(size), here.viewer.origin, here.series.hfs.study, { query });
  const made = balls(here.series.hfs.dims);
  middles = made.middles;
  // What the networks of the tests find is replaced by what a body has.
  await opened.route('**/v1/jobs/*/labels', route =>
    route.fulfill({ body: made.labels, contentType: 'application/octet-stream' }),
  );
  await opened.route('**/v1/jobs/*/segmentation', async route => {
    const answer = await route.fetch();
    const table = await answer.json();
    const counts = new Map();
    for (const value of made.labels) counts.set(value, (counts.get(value) ?? 0) + 1);
    for (const row of table.segments) {
      row.voxels = counts.get(row.value);
      row.volume_ml = row.voxels * 0.01;
    }
    await route.fulfill({ response: answer, json: table });
  });
  // Whatever the viewer itself converts.
  await opened.evaluate(() => {
    window.converted = [];
    window.cornerstone.eventTarget.addEventListener('CORNERSTONE_WEB_WORKER_PROGRESS', ({ detail }) => {
      if (/surface/i.test(detail.type)) window.converted.push(detail);
    });
  });
  await openPanel(opened);
  await connected(opened);
  await opened.locator('[data-cy=vesalius-task]').selectOption('total');
  await opened.locator('.segmented button', { hasText: 'Fastest' }).dispatchEvent('click');
  assert.equal(await segment(opened), undefined);
  const parts = opened.locator('[data-cy=vesalius-found] [data-cy=vesalius-part]');
  assert.equal(await parts.count(), 11);
  assert.equal(await opened.locator('[data-cy^=vesalius-item-]').count(), 0);
  for (const part of await parts.locator('.title').all()) await part.dispatchEvent('click');
  return opened;
}

/** Does something to the panel, and gives the milliseconds until it is drawn. */
const timed = (selector, event, value) =>
  page.evaluate(
    async ([selector, event, value]) => {
      const element = document.querySelector('vesalius-panel').shadowRoot.querySelector(selector);
      if (value !== undefined) element.value = value;
      const began = performance.now();
      element.dispatchEvent(new Event(event, { bubbles: true }));
      await Promise.resolve();
      return performance.now() - began;
    },
    [selector, event, value],
  );

const items = () => page.locator('[data-cy^=vesalius-item-]');

test('117 structures in three planes: listed, found, hidden, gone to', async t => {
  page = await shown('&hangingprotocolId=mpr');
  assert.equal(await items().count(), 117);
  const found = [await timed('[data-cy=vesalius-find]', 'input', 'rib'), await timed('[data-cy=vesalius-find]', 'input', 'rib left 1')];
  assert.deepEqual(await items().locator('.name').allInnerTexts(), ['Rib left 1', 'Rib left 10', 'Rib left 11', 'Rib left 12']);
  found.push(await timed('[data-cy=vesalius-find]', 'input', ''));
  assert.equal(await items().count(), 117);
  t.diagnostic(`searching draws the list in ${found.map(ms => ms.toFixed(0)).join(', ')} ms`);

  const visibility = () =>
    page.evaluate(() => {
      const { segmentationService, viewportGridService } = window.services;
      const [{ segmentationId }] = segmentationService.getSegmentations();
      return [...viewportGridService.getState().viewports.keys()].map(pane => {
        const [shown] = segmentationService.getSegmentationRepresentations(pane, { segmentationId });
        return Object.values(shown.segments).filter(({ visible }) => visible).map(({ segmentIndex }) => segmentIndex);
      });
    });
  const liver = 5;
  const one = await timed('[data-cy=vesalius-item-liver] .icon:last-child', 'click');
  const all = Array.from({ length: 117 }, (_, n) => n + 1);
  const others = all.filter(value => value !== liver);
  assert.deepEqual(await visibility(), [others, others, others]);
  const ribs = page.locator('[data-cy=vesalius-part]', { hasText: 'Ribs and sternum' }).locator('[data-cy=vesalius-toggle-part]');
  await ribs.dispatchEvent('click');
  assert.deepEqual((await visibility()).map(shown => shown.length), [90, 90, 90]);
  const none = await timed('[data-cy=vesalius-toggle-all]', 'click');
  assert.deepEqual(await visibility(), [all, all, all]);
  t.diagnostic(`hiding one takes ${one.toFixed(0)} ms, showing all ${none.toFixed(0)} ms`);

  const { dims } = here.series.hfs;
  for (const name of ['liver', 'skull']) {
    await page.locator(`[data-cy=vesalius-item-${name}] .name`).dispatchEvent('click');
    await page.waitForTimeout(1000);
    const value = name === 'liver' ? liver : await page.evaluate(() => {
      const [{ segments }] = window.services.segmentationService.getSegmentations();
      return Object.values(segments).find(({ label }) => label === 'Skull').segmentIndex;
    });
    const at = await page.evaluate(() => {
      const viewports = window.cornerstone.getRenderingEngines()[0].getViewports();
      return viewports.map(viewport => {
        const { imageData } = viewport.getImageData();
        return { index: imageData.worldToIndex(viewport.getCamera().focalPoint), normal: viewport.getCamera().viewPlaneNormal };
      });
    });
    assert.equal(at.length, 3);
    for (const { index, normal } of at) {
      const axis = normal.map(Math.abs).indexOf(Math.max(...normal.map(Math.abs)));
      const middle = middles.get(value)[axis];
      // Slices of the pane may run either way.
      const distance = Math.min(Math.abs(index[axis] - middle), Math.abs(dims[axis] - 1 - index[axis] - middle));
      assert.ok(distance <= 1.5, `${name}: ${index} along ${axis}, expected ${middles.get(value)}`);
    }
  }
  if (process.env.OHIF_SHOTS) await page.screenshot({ path: path.join(process.env.OHIF_SHOTS, 'labels.png'), timeout: 120_000 });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('117 structures with a pane in three dimensions', async t => {
  const began = performance.now();
  // Small: without a graphics card a frame in three dimensions takes seconds, and the viewer draws one for each pane.
  page = await shown('&hangingprotocolId=fourUp', { width: 1000, height: 480 });
  t.diagnostic(`opened, segmented and shown in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const kinds = await page.evaluate(() => {
    const { segmentationService, viewportGridService } = window.services;
    const [{ segmentationId }] = segmentationService.getSegmentations();
    return [...viewportGridService.getState().viewports.keys()].map(
      pane => segmentationService.getSegmentationRepresentations(pane, { segmentationId })[0]?.type,
    );
  });
  assert.deepEqual(kinds.sort(), ['Labelmap', 'Labelmap', 'Labelmap', 'Surface']);
  /** Surfaces in the fourth pane: of how many structures, with how many triangles, and where each lies, by label. */
  const surfaces = () =>
    page.evaluate(() => {
      const viewport = window.cornerstone.getRenderingEngines()[0].getViewports().find(({ type }) => type === 'volume3d');
      return viewport.getActors()
        .filter(({ representationUID }) => /-Surface-\d+$/.test(representationUID ?? ''))
        .map(({ actor, representationUID }) => {
          const [x0, x1, y0, y1, z0, z1] = actor.getBounds();
          const triangles = actor.getMapper().getInputData().getPolys().getNumberOfCells();
          return {
            label: Number(representationUID.split('-').pop()), triangles,
            bounds: [x0, x1, y0, y1, z0, z1], isShown: actor.getVisibility(),
          };
        });
    });
  const shownIn = performance.now();
  const all = await until(async () => {
    const made = await surfaces();
    return made.length === 117 && made;
  }, '117 surfaces', 240);
  t.diagnostic(`117 surfaces after ${((performance.now() - shownIn) / 1000).toFixed(1)} s`);
  // Where each label lies in the planes, in millimetres.
  const centers = await page.evaluate(() => {
    const { cornerstone } = window;
    const [{ representationData }] = window.services.segmentationService.getSegmentations();
    const sums = {};
    for (const id of representationData.Labelmap.imageIds) {
      const image = cornerstone.cache.getImage(id);
      const plane = cornerstone.metaData.get('imagePlaneModule', image.referencedImageId);
      image.voxelManager.getScalarData().forEach((label, v) => {
        if (!label) return;
        const [i, j] = [v % image.columns, Math.floor(v / image.columns)];
        sums[label] ??= [0, 0, 0, 0];
        sums[label][3] += 1;
        for (let axis = 0; axis < 3; axis += 1)
          sums[label][axis] +=
            plane.imagePositionPatient[axis] + i * plane.columnPixelSpacing * plane.rowCosines[axis] + j * plane.rowPixelSpacing * plane.columnCosines[axis];
      });
    }
    return sums;
  });
  for (const { label, bounds, triangles } of all) {
    assert.ok(triangles > 100, `${triangles} triangles of label ${label}`);
    const [x, y, z, n] = centers[label];
    const away = [x, y, z].map((sum, axis) => sum / n - (bounds[2 * axis] + bounds[2 * axis + 1]) / 2);
    assert.ok(Math.hypot(...away) < 1, `the surface of label ${label} lies ${away} mm beside it`);
  }
  /** How much of each plane has a colour. */
  const coloured = () =>
    page.evaluate(() =>
      window.cornerstone.getRenderingEngines()[0].getViewports().filter(({ type }) => type !== 'volume3d').map(({ canvas }) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let n = 0; n < data.length; n += 4) {
          const colour = data.subarray(n, n + 3);
          if (Math.max(...colour) - Math.min(...colour) > 20) count += 1;
        }
        return (4 * count) / data.length;
      }),
    );
  const planes = await until(async () => {
    const shares = await coloured();
    return shares.length === 3 && shares.every(share => share > 0.1) && shares;
  }, 'the planes beside it are coloured', 240);
  const percent = planes.map(share => `${(100 * share).toFixed(0)} %`).join(', ');
  t.diagnostic(`${percent} of the planes are coloured after ${((performance.now() - shownIn) / 1000).toFixed(1)} s`);
  assert.deepEqual(await page.evaluate(() => window.converted), []);
  await timed('[data-cy=vesalius-item-liver] .icon:last-child', 'click');
  await until(async () => (await surfaces()).find(({ label }) => label === 5).isShown === false, 'liver is hidden');
  if (process.env.OHIF_SHOTS) await page.screenshot({ path: path.join(process.env.OHIF_SHOTS, 'labels3d.png'), timeout: 120_000 });
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
