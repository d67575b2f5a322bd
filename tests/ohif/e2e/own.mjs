// A series of one's own: `tests/ohif/run --series FOLDER`. Sent in each way, the viewer must show what `vesalius segment`
// makes of the same files, voxel for voxel.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { connected, labelsShown, openPanel, openStudy, segment } from './browser.mjs';
import { python, WORK, world } from './world.mjs';

const target = path.join(WORK, 'series/own');
console.log(`the series: ${python('own_series.py', process.env.OHIF_FOLDER, target).trim()}`);
const here = await world(['own'], { networks: true });

/** What the command line makes of it, with the same networks. */
function expected() {
  const images = path.join(here.scratch, 'images');
  fs.mkdirSync(images);
  for (const { file } of here.series.own.slices) fs.copyFileSync(path.join(target, file), path.join(images, file));
  const labels = path.join(here.scratch, 'own.nii.gz');
  const ran = spawnSync(
    process.env.VESALIUS,
    ['segment', '-i', images, '-o', labels, '--ml', '--task', 'total', '--fastest', '-q'],
    { encoding: 'utf8', env: { ...process.env, VESALIUS_HOME: here.sidecar.home } },
  );
  if (ran.status !== 0) throw new Error(`vesalius segment: ${ran.stderr}`);
  return labels;
}

const file = expected();
let isRight = true;
for (const transport of ['relay', 'voxels']) {
  here.configure({ url: '/vesalius', transport });
  const page = await openStudy(await here.context(), here.viewer.origin, here.series.own.study);
  await openPanel(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-task]').selectOption('total');
  await page.locator('.segmented button', { hasText: 'Fastest' }).dispatchEvent('click');
  const problem = await segment(page);
  if (problem) throw new Error(problem);
  const shown = path.join(here.scratch, 'shown.json');
  fs.writeFileSync(shown, JSON.stringify(await labelsShown(page)));
  const found = JSON.parse(python('compare.py', target, file, shown));
  isRight &&= found.images === here.series.own.slices.length && found.differing === 0 && found.labelled > 0;
  const { images, pixels, labelled, differing } = found;
  console.log(`${transport}: ${images} images, ${pixels} pixels, ${labelled} labelled, ${differing} differing`);
  await page.context().close();
}
await here.close();
process.exit(isRight ? 0 : 1);
