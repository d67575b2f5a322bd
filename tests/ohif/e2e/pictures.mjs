// Makes the pictures of docs/ohif.md from the real thing: `tests/ohif/run --pictures`.
import path from 'node:path';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { ROOT, world } from './world.mjs';

const picture = name => path.join(ROOT, 'docs/images', `ohif_${name}.png`);
const here = await world(['hfs']);
here.configure({});
const context = await here.browser.newContext({ viewport: { width: 1440, height: 660 }, deviceScaleFactor: 1 });
const page = await openStudy(context, here.viewer.origin, here.series.hfs.study, {
  query: '&hangingprotocolId=mpr',
});
const panel = async (name, height) => {
  const box = await page.locator('vesalius-panel').boundingBox();
  const clip = { x: box.x, y: box.y - 44, width: box.width, height: Math.min(height, box.height) + 44 };
  await page.screenshot({ path: picture(name), clip, timeout: 120_000 });
};
await openPanel(page);
await connected(page, 'unpaired');
await panel('pairing', 320);
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
await page.locator('[data-cy=vesalius-task]').selectOption('total');
await press(page, 'vesalius-choose');
await page.locator('[data-cy=vesalius-search]').fill('lung');
await page.waitForTimeout(500);
await panel('structures', 620);
await here.close();
process.exit(0);
