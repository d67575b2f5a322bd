// What tests of corrections share: the session's labels beside those that the viewer holds, and places to click at.
import assert from 'node:assert/strict';
import { labelsShown } from './browser.mjs';

export const count = (labels, value) => labels.reduce((sum, label) => sum + (label === value), 0);

/** The labels of a session, as the sidecar holds them. */
export async function labelsHeld({ sidecar }, session) {
  const answer = await fetch(`http://127.0.0.1:${sidecar.port}/v1/sessions/${session}/labels`, {
    headers: { Authorization: `Bearer ${sidecar.token}` },
  });
  return Buffer.from(await answer.arrayBuffer());
}

/** The labels that the viewer holds, in the order of `sources`. */
export async function labelsSeen(page, sources) {
  const { slices } = await labelsShown(page);
  return Buffer.concat(sources.map(source => Buffer.from(slices[source], 'base64')));
}

/** Waits until the panel has this revision and nothing to do; then both sides must hold the same labels. */
export async function settled(here, page, session, sources, revision) {
  await page
    .locator(`[data-cy=vesalius-fixing][data-revision="${revision}"][data-busy=false]`)
    .waitFor({ timeout: 180_000 })
    .catch(async error => {
      const notice = await page.locator('[data-cy=vesalius-notice]').allInnerTexts();
      const card = await page.locator('[data-cy=vesalius-fixing]').evaluateAll(all => all.map(one => ({ ...one.dataset })));
      throw new Error(`revision ${revision}: ${notice} ${JSON.stringify(card)} ${error.message.slice(0, 80)}`);
    });
  const [held, seen] = [await labelsHeld(here, session), await labelsSeen(page, sources)];
  assert.equal(seen.length, held.length);
  assert.equal(differing(held, seen), 0, `voxels differ at revision ${revision}`);
  return held;
}

export function differing(one, other) {
  let found = 0;
  for (let v = 0; v < one.length; v += 1) if (one[v] !== other[v]) found += 1;
  return found;
}

/** Where on the page a voxel of a label is, well inside of it, in the slice that is shown; the parotid is gone to first. */
export async function inside(page, value) {
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
    return { x: box.x + cx, y: box.y + cy, n, place };
  }, value);
}

/** Draws with the viewer's own brush, beside a place. */
export async function paint(page, at, value) {
  await page.evaluate(value => {
    const { segmentationService, toolGroupService } = window.services;
    const [{ segmentationId }] = segmentationService.getSegmentations().slice(-1);
    segmentationService.setActiveSegment(segmentationId, value);
    const toolGroupIds = toolGroupService.getToolGroupIds().filter(id => toolGroupService.getToolGroup(id).hasTool('CircularBrush'));
    window.commandsManager.run('setToolActiveToolbar', { toolName: 'CircularBrush', toolGroupIds });
  }, value);
  await page.mouse.move(at.x - 90, at.y - 40);
  await page.mouse.down();
  for (let n = 0; n <= 6; n += 1) await page.mouse.move(at.x - 90 + 6 * n, at.y - 40, { steps: 2 });
  await page.mouse.up();
}
