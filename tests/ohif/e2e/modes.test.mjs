// Every mode of the viewer has the button and the panel; modes for segmentations and panes of the next kind show the same
// labels; and files that were dropped onto the viewer, without any archive.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { connected, firstImage, labelsShown, newPage, openPanel, openStudy, segment } from './browser.mjs';
import { compare, expected, readSeg, world } from './world.mjs';

let here;
before(async () => {
  here = await world(['short']);
  here.configure({ url: '/vesalius' });
});
after(() => here?.close());

for (const [mode, query] of [['segmentation', '&hangingprotocolId=mpr'], ['viewer', '&useNextViewports=true']]) {
  test(`${mode}${query}: labels as vesalius segment gives them`, async () => {
    const context = await here.context();
    const page = await openStudy(context, here.viewer.origin, here.series.short.study, { mode, query });
    await openPanel(page);
    await connected(page);
    assert.equal(await segment(page), undefined);
    sameLabels(await labelsShown(page));
    assert.deepEqual(page.errors, []);
    await context.close();
  });
}

// These have a toolbar that changes with the steps of their work, panes for other images, or both.
for (const mode of ['tmtv', 'dynamic-volume', 'microscopy']) {
  test(`${mode}: button and panel are there`, async () => {
    const context = await here.context();
    const page = await newPage(context);
    await page.goto(`${here.viewer.origin}/${mode}?StudyInstanceUIDs=${here.series.short.study}`);
    // A mode makes its toolbar in several turns.
    await page.waitForTimeout(5000);
    await openPanel(page);
    await connected(page);
    assert.equal(await page.locator('[data-cy=VesaliusButton]').count(), 1);
    assert.ok(await page.locator('vesalius-panel').isVisible());
    assert.deepEqual(page.errors, []);
    await context.close();
  });
}

test('files without an archive: the same labels, and downloads instead of Save to PACS', async () => {
  const context = await here.context();
  const page = await newPage(context);
  const { folder } = here.series.short;
  await page.goto(`${here.viewer.origin}/local`);
  const images = fs.readdirSync(folder).filter(name => name.endsWith('.dcm'));
  await page.locator('input[type=file]').first().setInputFiles(images.map(name => path.join(folder, name)));
  await page.getByText('TEST-SHORT').or(page.getByText('Test, Short')).first().click();
  await page.getByText('Basic Viewer').first().click();
  await firstImage(page);
  await openPanel(page);
  await connected(page);
  assert.equal(await segment(page), undefined);
  sameLabels(await labelsShown(page));
  assert.ok(await page.locator('[data-cy=vesalius-save]').isDisabled(), 'this data source stores nothing');

  const nifti = await downloaded(page, 'nifti');
  assert.match(nifti, /five_organs_at_risk_of_the_head_and_neck\.nii\.gz$/);
  const voxels = file => zlib.gunzipSync(fs.readFileSync(file)).subarray(-128 * 128 * 40);
  assert.ok(voxels(nifti).equals(voxels(expected('short'))), 'voxels of the file');

  const { about, shown } = await readSeg(here, 'short', await downloaded(page, 'dicom-seg'));
  assert.equal(about.patient, 'TEST-SHORT');
  sameLabels(shown);
  assert.deepEqual(page.errors, []);
  await context.close();
});

function sameLabels(shown) {
  const found = compare(here, 'short', shown);
  assert.deepEqual([found.images, found.differing], [40, 0]);
  assert.ok(found.labelled > 1000, `${found.labelled} labelled voxels`);
}

/** Chooses a format in the panel, and gives the path of the file that the browser saved. */
async function downloaded(page, format) {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.locator('[data-cy=vesalius-download]').selectOption(format),
  ]);
  const file = path.join(here.scratch, download.suggestedFilename());
  await download.saveAs(file);
  return file;
}
