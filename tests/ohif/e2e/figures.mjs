// What a series of 512 x 512 x 300 costs besides the network: `tests/ohif/run --figures`. Small networks of random weights
// find fifty structures in it, and label nearly every voxel.
import { connected, openPanel, openStudy, segment } from './browser.mjs';
import { profiled } from './profile.mjs';
import { world } from './world.mjs';

/** What a job of the sidecar says it does, between the first and the last word of the panel. */
const IN_THE_JOB = /^(Waiting|Starting|Reading$|Resampling|Loading the model|Preparing|Inference|Finishing|Cleaning|Done)/;

const here = await world(['large'], { networks: true });
const seconds = milliseconds => (milliseconds / 1000).toFixed(2);

/** Waits until the viewer has fetched what it fetches for itself. */
async function allLoaded(page) {
  const missing = () =>
    page.evaluate(() => {
      const [set] = window.services.displaySetService.getActiveDisplaySets();
      return set.imageIds.filter(id => !window.cornerstone.cache.getImage(id)).length;
    });
  for (let left = await missing(), before; left && left !== before; ) {
    await page.waitForTimeout(5000);
    [before, left] = [left, await missing()];
  }
  return missing();
}

for (const transport of (process.env.OHIF_TRANSPORTS ?? 'relay,voxels').split(',')) {
  here.configure({ transport });
  const page = await openStudy(await here.context(), here.viewer.origin, here.series.large.study);
  const missing = await allLoaded(page);
  await openPanel(page);
  await here.pair(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-task]').selectOption('total');
  await page.locator('.segmented button', { hasText: 'Fastest' }).dispatchEvent('click');
  const found = await profiled(page, async () => {
    const problem = await segment(page);
    if (problem) throw new Error(problem);
  });
  const sum = test => [...found.stages].reduce((all, [name, time]) => all + (test(name) ? time : 0), 0);
  const inference = found.stages.get('Inference') ?? 0;
  console.log(`\n${transport}, ${missing} of 300 images not in the viewer before`);
  for (const [stage, time] of found.stages) if (time >= 5) console.log(`  ${seconds(time).padStart(6)} s  ${stage}`);
  console.log(`  ${seconds(found.wall - inference)} s from the click to the overlay without inference, ` +
    `${seconds(found.wall - sum(name => IN_THE_JOB.test(name)))} s without the job`);
  const programs = found.processor.map(([name, time]) => `${name} ${time.toFixed(2)}`).join(', ');
  console.log(`  processor seconds: ${programs}`);
  const { ours, host, allOurs, allHost } = found.held;
  console.log(`  page held: by our code ${ours.ms} ms at most, ${allOurs} ms in all (${ours.where[0]});`);
  console.log(`             by the viewer for us ${host.ms} ms at most, ${allHost} ms in all (${host.where[0]})`);
  await page.context().close();
}
await here.close();
process.exit(0);
