// A volume in one image of many frames, as enhanced CT and MR are stored.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, press, segment, showSaved } from './browser.mjs';
import { compare, readSeg, storedSegs, world } from './world.mjs';

let here;
before(async () => {
  here = await world(['frames']);
});
after(() => here?.close());

async function segmented(transport) {
  here.configure({ url: '/vesalius', transport });
  const page = await openStudy(await here.context(), here.viewer.origin, here.series.frames.study);
  await openPanel(page);
  await connected(page);
  // All frames are in the viewer's memory soon: what it sends by itself then is tested.
  await page.waitForTimeout(3000);
  assert.equal(await segment(page), undefined);
  sameLabels(await labelsShown(page));
  return page;
}

function sameLabels(shown) {
  const found = compare(here, 'frames', shown);
  assert.deepEqual([found.images, found.differing, found.same_counts], [40, 0, true]);
  assert.ok(found.labelled > 1000, `${found.labelled} labelled voxels`);
}

test('as voxels, each frame has the labels of its place', async () => {
  const page = await segmented('voxels');
  assert.deepEqual(page.errors, []);
  await page.context().close();
});

test('by itself it goes as DICOM, and is saved with references to its frames', async () => {
  const page = await segmented('auto');
  await press(page, 'vesalius-save');
  await page.getByText('Saved to PACS').waitFor();
  const [file] = await storedSegs(here, 'frames');
  sameLabels((await readSeg(here, 'frames', file)).shown);
  assert.ok(await showSaved(page), 'the SEG is not in the list of series');
  sameLabels(await labelsShown(page));
  assert.deepEqual(page.errors, []);
  await page.context().close();
});
