// Which pages reach the sidecar, and what the others are told: the table of docs/ohif.md, in a real browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connected, openPanel, openStudy, press, segment } from './browser.mjs';
import { world } from './world.mjs';

const HOST = 'viewer.hospital.example';
/** Makes the viewer's port one of an address space, and a host of it. */
const as = space => port => [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`, `--ip-address-space-overrides=127.0.0.1:${port}=${space}`];

async function opened(here, { origin = here.viewer.origin, permissions = [], settings = {} } = {}) {
  here.configure(settings);
  const context = await here.context();
  if (permissions.length) await context.grantPermissions(permissions, { origin });
  const page = await openStudy(context, origin, here.series.short.study);
  await openPanel(page);
  return page;
}

/** Types a code that waits. */
async function typeCode(here, page) {
  const { json } = await here.sidecar.ask('pair', 'POST', {});
  await page.locator('[data-cy=vesalius-code]').fill(json.code);
  await press(page, 'vesalius-pair');
}

test('https pages from the internet: the browser asks, and once allowed all works', async () => {
  const here = await world(['short'], { secure: true, switches: as('public') });
  try {
    const origin = `https://${HOST}:${here.viewer.port}`;
    const asked = await opened(here, { origin });
    await connected(asked, 'unpaired');
    await typeCode(here, asked);
    await Promise.race([connected(asked, 'permission-needed'), connected(asked, 'permission-denied')]);
    await asked.context().close();

    const page = await opened(here, { origin, permissions: ['local-network-access'] });
    await here.pair(page);
    await connected(page);
    assert.deepEqual(page.errors, []);
  } finally {
    await here.close();
  }
});

test('http pages from elsewhere: need https, unless the site itself passes requests on', async () => {
  const here = await world(['short'], { switches: as('private') });
  try {
    const origin = `http://${HOST}:${here.viewer.port}`;
    const page = await opened(here, { origin });
    await connected(page, 'insecure');
    await page.getByText('This viewer needs https').waitFor();
    await page.context().close();

    const passed = await opened(here, { origin, settings: { url: '/vesalius', transport: 'voxels' } });
    await connected(passed);
    assert.equal(await segment(passed), undefined);
    await passed.context().close();
  } finally {
    await here.close();
  }
});

test('a content security policy without the address: the panel names what is missing', async () => {
  const here = await world(['short']);
  try {
    here.viewer.headers = { 'Content-Security-Policy': "connect-src 'self' blob: data:" };
    const page = await opened(here);
    await connected(page, 'unpaired');
    await typeCode(here, page);
    await connected(page, 'blocked-by-policy');
    await page.getByText('connect-src').waitFor();
    await page.context().close();

    here.viewer.headers = { 'Content-Security-Policy': "connect-src 'self' blob: data: http://127.0.0.1:*" };
    const allowed = await opened(here);
    await here.pair(allowed);
    await connected(allowed);
    await allowed.context().close();

    here.viewer.headers = {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cross-Origin-Resource-Policy': 'same-origin',
    };
    const isolated = await opened(here);
    assert.equal(await isolated.evaluate(() => window.crossOriginIsolated), true);
    await here.pair(isolated);
    await connected(isolated);
    assert.deepEqual(isolated.errors, []);
  } finally {
    await here.close();
  }
});
