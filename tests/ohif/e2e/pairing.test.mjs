// A page gets in by a code and the user's consent, stays in over a reload, and nobody gets in its place.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { connected, firstImage, openPanel, openStudy, press, segment } from './browser.mjs';
import { world } from './world.mjs';

let here;
let context;
let page;
before(async () => {
  here = await world(['short']);
  here.configure({});
  context = await here.context();
  page = await openStudy(context, here.viewer.origin, here.series.short.study);
  await openPanel(page);
});
after(() => here?.close());

const notice = () => page.locator('[data-cy=vesalius-notice]');
const type = async code => {
  await page.locator('[data-cy=vesalius-code]').fill(code);
  await press(page, 'vesalius-pair');
};

test('without a pairing the panel asks for a code, and says what is wrong with one', async () => {
  await connected(page, 'unpaired');
  await type('not a code at all');
  await notice().getByText('This is no pairing code').waitFor();
  await type(`${here.sidecar.port}-0000-0000-0000`);
  await notice().getByText('Nobody answers at port').waitFor();
  const { json } = await here.sidecar.ask('pair', 'POST', {});
  const wrong = json.code.replace(/.{4}$/, end => (end === '0000' ? '1111' : '0000'));
  await type(wrong);
  await notice().getByText('The code is wrong').waitFor();
});

test('a no in the terminal is a no', async () => {
  const { json } = await here.sidecar.ask('pair', 'POST', {});
  await type(json.code);
  await page.locator('[data-cy=vesalius-confirming]').waitFor();
  while ((await here.sidecar.ask('pair')).json.state !== 'asking');
  await here.sidecar.ask('pair/answer', 'POST', { allow: false });
  await notice().getByText('did not allow this page').waitFor();
  await connected(page, 'unpaired');
});

test('with the code and the user’s consent the page segments, from another origin', async () => {
  const asked = await here.pair(page);
  assert.deepEqual([asked.origin, asked.label], [here.viewer.origin, 'OHIF']);
  await connected(page);
  assert.equal(await segment(page), undefined);
});

test('the key stays over a reload, and cannot be read', async () => {
  await page.reload();
  await firstImage(page);
  await openPanel(page);
  await connected(page);
  const secret = await page.evaluate(async () => {
    const database = await new Promise(resolve => {
      const request = indexedDB.open('vesalius');
      request.onsuccess = () => resolve(request.result);
    });
    const record = await new Promise(resolve => {
      const request = database.transaction('pairings').objectStore('pairings').get('sidecar');
      request.onsuccess = () => resolve(request.result);
    });
    const exported = await crypto.subtle.exportKey('raw', record.key).then(() => 'exported', error => error.name);
    return { exported, extractable: record.key.extractable, stored: Object.keys(localStorage).join() };
  });
  assert.deepEqual([secret.exported, secret.extractable], ['InvalidAccessError', false]);
  assert.doesNotMatch(secret.stored, /vesalius/i);
});

test('another program at the port gets nothing', async () => {
  const { port } = here.sidecar;
  // A page that is open asks now and then, and cannot see that somebody else has taken the port meanwhile.
  const address = page.url();
  await page.goto('about:blank');
  await here.sidecar.stop();
  const heard = [];
  const squatter = http.createServer((request, response) => {
    let body = '';
    request.on('data', piece => {
      body += piece;
    });
    request.on('end', () => {
      heard.push(`${request.method} ${request.url} ${body} ${request.headers.authorization ?? ''}`);
      response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
      response.setHeader('Access-Control-Allow-Headers', '*, authorization');
      response.setHeader('Content-Type', 'application/json');
      const answer = { server_nonce: 'A'.repeat(43), instance: 'a', port, proof: 'A'.repeat(43) };
      response.end(request.method === 'OPTIONS' ? '' : JSON.stringify(answer));
    });
  });
  await new Promise(resolve => squatter.listen(port, '127.0.0.1', resolve));
  await page.goto(address);
  await firstImage(page);
  await openPanel(page);
  await connected(page, 'impostor');
  assert.ok(heard.length > 0);
  for (const request of heard) assert.match(request, /^(OPTIONS|POST) \/v1\/session /);
  await new Promise(resolve => {
    squatter.close(resolve);
    squatter.closeAllConnections();
  });
  await here.restartSidecar();
  await page.getByText('Try again').click();
  await connected(page);
});

test('a pairing that was revoked ends', async () => {
  const { json } = await here.sidecar.ask('clients');
  const [{ client_id, id = client_id }] = json;
  await here.sidecar.ask(`clients/${id}`, 'DELETE');
  await page.reload();
  await firstImage(page);
  await openPanel(page);
  // An unknown page is told nothing, not even that somebody is there.
  await connected(page, 'not-running');
  await page.getByRole('button', { name: 'Pair again' }).click();
  await connected(page, 'unpaired');
  await here.pair(page);
  await connected(page);
  assert.deepEqual(page.errors, []);
});
