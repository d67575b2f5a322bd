// A diffusion series is one volume for each b-value.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, finished, openPanel, openStudy, press } from './browser.mjs';
import { python, world } from './world.mjs';

let here;
before(async () => {
  here = await world(['dwi']);
});
after(() => here?.close());

/** The program here has no network for diffusion: what counts is the volume that it gets. */
async function sent(page, label) {
  const choice = page.locator('[data-cy=vesalius-time-point]');
  assert.deepEqual(await choice.locator('option').allInnerTexts(), ['b = 0 s/mm²', 'b = 1000 s/mm²']);
  await choice.selectOption({ label });
  await page.locator('[data-cy=vesalius-task]').selectOption('headneck');
  await press(page, 'vesalius-run');
  await finished(page);
  return page.locator('[data-cy=vesalius-notice]').innerText();
}

for (const [label, b] of [
  ['b = 1000 s/mm²', 1000],
  ['b = 0 s/mm²', 0],
]) {
  test(`${label}: its voxels and no others`, async () => {
    here.configure({ url: '/vesalius', transport: 'voxels' });
    const page = await openStudy(await here.context(), here.viewer.origin, here.series.dwi.study);
    // Any task that is here, whatever it was made for.
    await page.route('**/v1/tasks', async route => {
      const answer = await route.fetch();
      const tasks = await answer.json();
      await route.fulfill({ response: answer, json: tasks.map(task => ({ ...task, modality: 'MR' })) });
    });
    await openPanel(page);
    await connected(page);
    assert.match(await sent(page, label), /is for CT, and the image is MR/);
    const volumes = path.join(here.sidecar.home, 'run/spool/volumes');
    const compared = JSON.parse(python('voxels.py', here.series.dwi.folder, volumes, String(b)));
    assert.deepEqual(compared, { slices: 20, voxels: 96 * 96 * 20, differing: 0 });
    for (const volume of fs.readdirSync(volumes)) {
      await here.sidecar.ask(`volumes/${path.parse(volume).name}`, 'DELETE');
    }
    await page.context().close();
  });
}

test('relayed as DICOM, the sidecar finds both, and the job names the chosen one', async () => {
  here.configure({ url: '/vesalius', transport: 'relay' });
  const page = await openStudy(await here.context(), here.viewer.origin, here.series.dwi.study);
  const jobs = [];
  await page.route('**/v1/tasks', async route => {
    const answer = await route.fetch();
    const tasks = await answer.json();
    await route.fulfill({ response: answer, json: tasks.map(task => ({ ...task, modality: 'MR' })) });
  });
  page.on('request', request => {
    if (request.url().endsWith('/v1/jobs') && request.method() === 'POST') jobs.push(request.postDataJSON());
  });
  await openPanel(page);
  await connected(page);
  await sent(page, 'b = 0 s/mm²');
  await sent(page, 'b = 1000 s/mm²');
  assert.equal(jobs.length, 2);
  // Sent once, asked twice.
  assert.equal(jobs[0].volume, jobs[1].volume);
  const { json } = await here.sidecar.ask(`volumes/${jobs[0].volume}`);
  assert.deepEqual(
    jobs.map(({ group }) => json.groups.find(({ id }) => id === group).b_value),
    [0, 1000],
  );
  const { slices } = here.series.dwi;
  for (const { b_value, sources } of json.groups) {
    const expected = slices.filter(({ b }) => b === b_value).map(({ sop }) => sop);
    assert.deepEqual([...sources].sort(), expected.sort());
  }
  await page.context().close();
});
