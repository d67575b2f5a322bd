// A series of a real scanner (Siemens, JPEG 2000, without its identifiers), or one of your own: `tests/ohif/run --series
// FOLDER`. Sent in each way, the viewer must show what `vesalius segment` makes of the same files, voxel for voxel.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, segment } from './browser.mjs';
import { python, ROOT, WORK, world } from './world.mjs';

const FOLDER = process.env.OHIF_FOLDER ?? path.join(ROOT, 'tests/reference/golden/input/example_ct_dicom');
const TARGET = path.join(WORK, 'series/own');

let here;
let expected;
before(async () => {
  python('own_series.py', FOLDER, TARGET);
  here = await world(['own'], { networks: true, archives: true });
  const images = path.join(here.scratch, 'images');
  fs.mkdirSync(images);
  for (const { file } of here.series.own.slices) fs.copyFileSync(path.join(TARGET, file), path.join(images, file));
  expected = path.join(here.scratch, 'own.nii.gz');
  const ran = spawnSync(
    process.env.VESALIUS,
    ['segment', '-i', images, '-o', expected, '--ml', '--task', 'total', '--fastest', '-q'],
    { encoding: 'utf8', env: { ...process.env, VESALIUS_HOME: here.sidecar.home } },
  );
  assert.equal(ran.status, 0, ran.stderr);
});
after(() => here?.close());

for (const transport of ['reference', 'relay', 'voxels']) {
  test(`sent by ${transport}, the labels are those of vesalius segment`, async t => {
    here.configure({ url: '/vesalius', transport });
    const page = await openStudy(await here.context(), here.viewer.origin, here.series.own.study);
    const asked = [];
    page.on('request', request => asked.push(request.url()));
    await openPanel(page);
    await connected(page);
    await page.locator('[data-cy=vesalius-task]').selectOption('total');
    await page.locator('.segmented button', { hasText: 'Fastest' }).dispatchEvent('click');
    assert.equal(await segment(page), undefined);
    const shown = path.join(here.scratch, 'shown.json');
    fs.writeFileSync(shown, JSON.stringify(await labelsShown(page)));
    const found = JSON.parse(python('compare.py', TARGET, expected, shown));
    t.diagnostic(JSON.stringify(found));
    assert.deepEqual([found.images, found.differing], [here.series.own.slices.length, 0]);
    assert.ok(found.labelled > 1000);
    // Where the sidecar fetches, the browser neither asks the archive for the series nor sends any of it.
    const whole = asked.filter(url => url.endsWith(`/series/${here.series.own.series}`)).length;
    const sent = asked.filter(url => url.includes('/data?offset=')).length;
    assert.deepEqual([whole, sent > 0], { reference: [0, false], relay: [1, true], voxels: [0, true] }[transport]);
    await page.context().close();
  });
}
