// A task that takes two images: a b-value of one series, and another series of the study.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { differing, labelsSeen } from './correcting.mjs';
import { world } from './world.mjs';

let here;
let page;
before(async () => {
  here = await world(['dwi', 'adc'], { channels: true });
});
after(() => here?.close());

const select = name => page.locator(`[data-cy=vesalius-channel-${name}]`);
const chosen = name => select(name).evaluate(list => list.selectedOptions[0].textContent);

for (const transport of ['relay', 'voxels']) {
  test(`by ${transport}: guessed by what series are called, sent and named, and shown on the images of the pane`, async () => {
    here.configure({ url: '/vesalius', transport });
    page = await openStudy(await here.context(), here.viewer.origin, here.series.dwi.study);
    await page.evaluate(series => {
      const { displaySetService, viewportGridService } = window.services;
      const [set] = displaySetService.getDisplaySetsForSeries(series);
      const viewportId = viewportGridService.getActiveViewportId();
      viewportGridService.setDisplaySetsForViewport({ viewportId, displaySetInstanceUIDs: [set.displaySetInstanceUID] });
    }, here.series.dwi.series);
    await openPanel(page);
    await connected(page);
    await page.locator('[data-cy=vesalius-task]').selectOption('stroke');
    assert.match(await chosen('DWI'), /DWI, b = 1000 s\/mm²/);
    assert.match(await chosen('ADC'), /ADC$/);
    assert.equal(await page.locator('[data-cy=vesalius-time-point]').count(), 0);
    // The same image twice is none of two.
    const [adc, b0] = await select('DWI').locator('option').evaluateAll(all => [
      all.find(({ textContent }) => /ADC$/.test(textContent)).value,
      all.find(({ textContent }) => /b = 0 /.test(textContent)).value,
    ]);
    await select('DWI').selectOption(adc);
    await page.locator('[data-cy=vesalius-missing-image]').getByText('Choose the image for ADC').waitFor();
    await select('ADC').selectOption(adc);
    await page.locator('[data-cy=vesalius-missing-image]').getByText('Two of these images are the same').waitFor();
    assert.equal(await page.locator('[data-cy=vesalius-run]:enabled').count(), 0);
    await select('DWI').selectOption(b0);
    await page.locator('[data-cy=vesalius-missing-image]').waitFor({ state: 'detached' });
    await select('DWI').selectOption({ label: (await select('DWI').locator('option').allInnerTexts()).find(text => /b = 1000/.test(text)) });
    if (process.env.OHIF_SHOTS) await page.screenshot({ path: path.join(process.env.OHIF_SHOTS, 'channels.png') });
    const asked = page.waitForRequest(request => request.url().endsWith('/v1/jobs') && request.method() === 'POST');
    assert.equal(await segment(page), undefined);
    const body = (await asked).postDataJSON();
    assert.deepEqual(Object.keys(body.channels), ['ADC']);
    assert.notEqual(body.channels.ADC.volume, body.volume);
    const job = (await here.sidecar.ask('jobs')).json.find(({ volume }) => volume === body.volume);
    const table = (await here.sidecar.ask(`jobs/${job.id}/segmentation`)).json;
    const about = table.channels.map(({ name, group, series, resampled }) => [name, group.b_value ?? null, series, resampled]);
    const b = transport === 'relay' ? 1000 : null;
    assert.deepEqual(about, [['DWI', b, here.series.dwi.series, false], ['ADC', null, here.series.adc.series, true]]);
    const held = Buffer.from(await (await fetch(`http://127.0.0.1:${here.sidecar.port}/v1/jobs/${job.id}/labels`, {
      headers: { Authorization: `Bearer ${here.sidecar.token}` },
    })).arrayBuffer());
    const volume = (await here.sidecar.ask(`volumes/${body.volume}`)).json;
    const sources = (volume.groups?.find(({ id }) => id === body.group) ?? volume).sources;
    assert.equal(differing(held, await labelsSeen(page, sources)), 0);
    assert.ok(held.some(value => value > 0), 'the network finds nothing at all');
    assert.deepEqual(page.errors, []);
    await page.context().close();
  });
}

test('without a choice of the user’s, whichever image the viewer shows first', async () => {
  here.configure({ url: '/vesalius', transport: 'relay' });
  page = await openStudy(await here.context(), here.viewer.origin, here.series.dwi.study);
  await openPanel(page);
  await connected(page);
  await page.locator('[data-cy=vesalius-task]').selectOption('stroke');
  await press(page, 'vesalius-run');
  await page.locator('[data-cy=vesalius-result]').waitFor();
  await page.context().close();
});
