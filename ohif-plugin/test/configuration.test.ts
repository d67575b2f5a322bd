import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration } from '../src/configuration.ts';

test('images go to this computer or to the viewer’s own site', () => {
  assert.deepEqual(readConfiguration(undefined, {}), { transport: 'auto' });
  assert.deepEqual(readConfiguration({ url: '/vesalius/' }), { url: '/vesalius', transport: 'auto' });
  assert.deepEqual(
    readConfiguration({ transport: 'relay' }, { url: 'http://127.0.0.1:4000', transport: 'voxels' }),
    {
      url: 'http://127.0.0.1:4000',
      transport: 'voxels',
    },
  );
  for (const url of [
    'https://evil.example',
    'http://127.0.0.1.evil.example:1',
    'http://localhost:1',
    'http://127.0.0.1:1/@evil',
    '//evil.example',
    '',
    7,
  ]) {
    assert.throws(() => readConfiguration({ url }), /`url`/, String(url));
  }
  assert.throws(() => readConfiguration({ transport: 'pigeon' }), /`transport` is `pigeon`/);
});
