// DICOM through the browser, and results offered again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, segment } from './browser.mjs';
import { compare, world } from './world.mjs';

let here;
let page;
before(async () => {
  here = await world(['short']);
  here.configure({ transport: 'relay' });
  const context = await here.context();
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

test('results are offered again when the study is opened again', async () => {
  await page.reload();
  await openPanel(page);
  await connected(page);
  const offers = page.locator('[data-cy=vesalius-offers]');
  await offers.waitFor({ timeout: 30_000 });
  await offers.getByText('Show').first().dispatchEvent('click');
  await page.locator('[data-cy=vesalius-result]').waitFor({ timeout: 60_000 });
  const found = compare(here, 'short', await labelsShown(page));
  assert.deepEqual([found.images, found.differing], [40, 0]);
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
