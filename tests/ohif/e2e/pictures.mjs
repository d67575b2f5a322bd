// Makes the pictures of docs/ohif.md from the real thing: `tests/ohif/run --pictures`. OHIF_PICTURES names some of them.
import path from 'node:path';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { until } from './programs.mjs';
import { ROOT, world } from './world.mjs';

const picture = name => path.join(ROOT, 'docs/images', `ohif_${name}.png`);

/** The panel, from its top. */
async function panel(page, name, height) {
  const box = await page.locator('vesalius-panel').boundingBox();
  const clip = { x: box.x, y: box.y - 44, width: box.width, height: Math.min(height, box.height) + 44 };
  await page.screenshot({ path: picture(name), clip, timeout: 120_000 });
}

/** Pairing, an overlay, and a correction. */
async function basics() {
  const here = await world(['hfs']);
  here.configure({});
  const context = await here.browser.newContext({ viewport: { width: 1440, height: 660 }, deviceScaleFactor: 1 });
  const page = await openStudy(context, here.viewer.origin, here.series.hfs.study, {
    query: '&hangingprotocolId=mpr',
  });
  await openPanel(page);
  await connected(page, 'unpaired');
  await panel(page, 'pairing', 320);
  await here.pair(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-run]:enabled').waitFor();
  const problem = await segment(page);
  if (problem) throw new Error(problem);
  await page.waitForTimeout(4000);
  // A window for soft tissue, and a structure to look at.
  await page.evaluate(() => {
    for (const viewport of window.cornerstone.getRenderingEngines()[0].getViewports()) {
      if (viewport.type !== 'volume3d') viewport.setProperties({ voiRange: { lower: -160, upper: 240 } });
      const { parallelScale } = viewport.getCamera();
      viewport.setCamera({ parallelScale: parallelScale / 1.7 });
      viewport.render();
    }
  });
  await page.locator('[data-cy=vesalius-item-parotid_gland_left] .name').dispatchEvent('click');
  await page.waitForTimeout(4000);
  await page.screenshot({ path: picture('overlay'), timeout: 120_000 });
  // A bone that the network left out, and what a click makes of it.
  const bone = await page.evaluate(() => {
    const { cornerstone } = window;
    const [viewport] = cornerstone.getRenderingEngines()[0].getViewports();
    const [{ representationData }] = window.services.segmentationService.getSegmentations().slice(-1);
    let best = { hu: 0 };
    for (const id of representationData.Labelmap.imageIds) {
      const labels = cornerstone.cache.getImage(id);
      const image = cornerstone.cache.getImage(labels.referencedImageId);
      const [found, hu] = [labels.voxelManager.getScalarData(), image.voxelManager.getScalarData()];
      const { columns } = labels;
      for (let v = 4 * columns; v < found.length - 4 * columns; v += 1) {
        if (found[v] || hu[v] < 500) continue;
        const isBeside = [-3, 3, -3 * columns, 3 * columns].some(step => found[v + step] === 5);
        if (!isBeside) continue;
        if (hu[v] > best.hu) best = { hu: hu[v], v, columns, image: labels.referencedImageId };
      }
    }
    const plane = cornerstone.metaData.get('imagePlaneModule', best.image);
    const [i, j] = [best.v % best.columns, Math.floor(best.v / best.columns)];
    const at = plane.imagePositionPatient.map(
      (side, axis) => side + i * plane.columnPixelSpacing * plane.rowCosines[axis] + j * plane.rowPixelSpacing * plane.columnCosines[axis],
    );
    for (const each of cornerstone.getRenderingEngines()[0].getViewports()) {
      each.jumpToWorld?.(at);
      each.render();
    }
    const { parallelScale } = viewport.getCamera();
    viewport.setCamera({ parallelScale: parallelScale / 1.7 });
    viewport.render();
    const [x, y] = viewport.worldToCanvas(at);
    const box = viewport.element.getBoundingClientRect();
    return { x: box.x + x, y: box.y + y, clip: { x: box.x + 10, y: box.y + 130, width: box.width - 34, height: box.height - 260 } };
  });
  await press(page, 'vesalius-fix');
  await page.locator('[data-cy=vesalius-fixing][data-busy=false]').waitFor({ timeout: 120_000 });
  await page.locator('[data-cy=vesalius-target]').selectOption('5');
  await page.waitForTimeout(4000);
  await page.screenshot({ path: picture('fix_before'), clip: bone.clip, timeout: 120_000 });
  await page.mouse.move(bone.x, bone.y);
  await page.mouse.click(bone.x, bone.y, { delay: 60 });
  await page.locator('[data-cy=vesalius-fixing][data-revision="1"][data-busy=false]').waitFor({ timeout: 120_000 });
  await page.waitForTimeout(4000);
  await page.screenshot({ path: picture('fix_after'), clip: bone.clip, timeout: 120_000 });
  await page.screenshot({ path: picture('fix'), timeout: 120_000 });
  await here.close();
}

/** The list to choose from. */
async function structures() {
  const here = await world(['hfs'], { networks: true });
  here.configure({ url: '/vesalius' });
  const context = await here.browser.newContext({ viewport: { width: 1280, height: 700 } });
  const page = await openStudy(context, here.viewer.origin, here.series.hfs.study);
  await openPanel(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-task]').selectOption('total');
  await page.locator('.segmented button', { hasText: 'Fastest' }).dispatchEvent('click');
  await press(page, 'vesalius-choose');
  await page.getByRole('button', { name: 'None' }).dispatchEvent('click');
  const lungs = page.locator('[data-cy=vesalius-part]', { hasText: 'Lungs and airways' });
  await lungs.locator('.title').dispatchEvent('click');
  await lungs.locator('input').dispatchEvent('click');
  await page.waitForTimeout(500);
  await page.screenshot({ path: picture('structures'), clip: { ...(await page.locator('vesalius-panel').boundingBox()) }, timeout: 120_000 });
  await here.close();
}

/** Structures in planes and in three dimensions. */
async function solid() {
  const here = await world(['hfs']);
  here.configure({ url: '/vesalius' });
  const context = await here.browser.newContext({ viewport: { width: 1280, height: 760 } });
  const page = await openStudy(context, here.viewer.origin, here.series.hfs.study, { query: '&hangingprotocolId=fourUp' });
  await openPanel(page);
  await connected(page);
  const problem = await segment(page);
  if (problem) throw new Error(problem);
  await until(
    () => page.evaluate(() => {
      const viewports = window.cornerstone.getRenderingEngines()[0].getViewports();
      const surfaces = viewports
        .find(({ type }) => type === 'volume3d')
        .getActors()
        .filter(({ representationUID }) => /-Surface-/.test(representationUID ?? ''));
      return surfaces.length === 5 && viewports.every(viewport => viewport.getActors().length > 1);
    }),
    'surfaces, and overlays in the planes', 600,
  );
  await page.evaluate(() => {
    for (const viewport of window.cornerstone.getRenderingEngines()[0].getViewports()) {
      // A window for soft tissue, and all of it nearer.
      if (viewport.type !== 'volume3d') viewport.setProperties({ voiRange: { lower: -160, upper: 240 } });
      const { parallelScale } = viewport.getCamera();
      viewport.setCamera({ parallelScale: parallelScale / 1.6 });
      viewport.render();
    }
  });
  await page.locator('[data-cy=vesalius-item-parotid_gland_left] .name').dispatchEvent('click');
  await page.waitForTimeout(15_000);
  await page.screenshot({ path: picture('solid'), timeout: 240_000 });
  await here.close();
}

/** A task of two images. */
async function channels() {
  const here = await world(['dwi', 'adc'], { channels: true });
  here.configure({ url: '/vesalius' });
  const context = await here.browser.newContext({ viewport: { width: 1280, height: 660 } });
  const page = await openStudy(context, here.viewer.origin, here.series.dwi.study);
  await openPanel(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-task]').selectOption('stroke');
  await page.locator('[data-cy=vesalius-channel-ADC]').waitFor();
  await panel(page, 'channels', 330);
  await here.close();
}

const all = { basics, structures, channels, solid };
for (const name of (process.env.OHIF_PICTURES ?? 'basics,structures,channels,solid').split(',')) await all[name]();
process.exit(0);
