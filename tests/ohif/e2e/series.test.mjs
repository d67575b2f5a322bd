// From the pane to the engine and back: every voxel, whichever way the slices lie, are ordered and were sent.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connected, labelsShown, openPanel, openStudy, panes, segment } from './browser.mjs';
import { compare, python, world } from './world.mjs';

const NAMES = (process.env.OHIF_SERIES ?? 'hfs,ffs,prone,oblique,reversed').split(',');
const COLORS = { 1: [255, 188, 87], 2: [244, 214, 49], 3: [124, 191, 156], 4: [93, 158, 201], 5: [241, 214, 145] };
const LABELS = {
  1: 'Brainstem',
  2: 'Spinal cord',
  3: 'Parotid gland right',
  4: 'Parotid gland left',
  5: 'Mandible',
};

let here;
before(async () => {
  here = await world(NAMES);
});
after(() => here?.close());

for (const name of NAMES) {
  test(`${name}: voxels as sent, labels as vesalius segment gives them`, async () => {
    here.configure({ url: '/vesalius', transport: 'voxels' });
    const context = await here.context();
    const page = await openStudy(context, here.viewer.origin, here.series[name].study);
    await openPanel(page);
    await connected(page);
    assert.equal(await segment(page), undefined);

    const sent = python('voxels.py', here.series[name].folder, path.join(here.sidecar.home, 'run/spool/volumes'));
    const slices = here.series[name].slices.length;
    assert.deepEqual(JSON.parse(sent), { slices, voxels: 128 * 128 * slices, differing: 0 });

    const shown = await labelsShown(page);
    assert.deepEqual(shown.names, LABELS);
    const found = compare(here, name, shown);
    assert.equal(found.images, slices);
    assert.ok(found.labelled > 1000, `${found.labelled} labelled voxels`);
    assert.ok(found.farthest_voxels < 1e-3, `${found.farthest_voxels}`);
    assert.deepEqual([found.differing, found.same_counts], [0, true]);
    assert.deepEqual(page.errors, []);
    await context.close();
    for (const volume of fs.readdirSync(path.join(here.sidecar.home, 'run/spool/volumes'))) {
      await here.sidecar.ask(`volumes/${path.parse(volume).name}`, 'DELETE');
    }
  });
}

test('names and colours are the same in all panes, in MPR and in 3-D', async () => {
  const context = await here.context();
  here.configure({ url: '/vesalius', transport: 'voxels' });
  const page = await openStudy(context, here.viewer.origin, here.series[NAMES[0]].study);
  await openPanel(page);
  await connected(page);
  assert.equal(await segment(page), undefined);
  const check = async (count, kinds) => {
    const shown = await panes(page);
    assert.equal(Object.keys(shown).length, count);
    for (const [pane, [first, ...rest]] of Object.entries(shown)) {
      assert.ok(first, `nothing in pane ${pane}`);
      assert.equal(rest.length, 0);
      assert.deepEqual(first.colors, COLORS, `pane ${pane}`);
      assert.ok(kinds.includes(first.type), `${first.type} in pane ${pane}`);
    }
  };
  await check(1, ['Labelmap']);
  await page.evaluate(() => window.commandsManager.run('setHangingProtocol', { protocolId: 'mpr' }));
  await page.waitForTimeout(5000);
  await check(3, ['Labelmap']);
  await context.close();

  const four = await here.context();
  const other = await openStudy(four, here.viewer.origin, here.series[NAMES[0]].study, {
    query: '&hangingprotocolId=fourUp',
  });
  await openPanel(other);
  await connected(other);
  assert.equal(await segment(other), undefined);
  await other.waitForTimeout(3000);
  const kinds = Object.values(await panes(other)).map(([first]) => first?.type);
  assert.deepEqual(kinds.sort(), ['Labelmap', 'Labelmap', 'Labelmap', 'Surface']);
  await four.close();
});
