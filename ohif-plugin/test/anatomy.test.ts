import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { matching, partOf, parts, RULES } from '../src/anatomy.ts';

test('the parts of the body are those of 3D Slicer’s panel', () => {
  const text = readFileSync(
    join(process.cwd(), '../slicer-extension/Vesalius/VesaliusLib/catalog.py'),
    'utf8',
  );
  const [, table = ''] = /^RULES = \(\n([\s\S]*?)^\)$/m.exec(text) ?? [];
  // A title, and a pattern in one or more literals.
  const rules = [...table.matchAll(/\(\s*"([^"]+)",\s*((?:r"[^"]*"\s*)+),?\s*\)/g)].map(
    ([, title, literals = '']) => [
      title,
      [...literals.matchAll(/r"([^"]*)"/g)].map(([, part]) => part).join(''),
    ],
  );
  assert.ok(rules.length > 10);
  assert.deepEqual(
    RULES.map(([title, names]) => [title, names.source]),
    rules,
  );
});

test('long lists are divided, and searched by name and part', () => {
  assert.equal(partOf('vertebrae_L1'), 'Spine');
  assert.equal(partOf('rib_left_12'), 'Ribs and sternum');
  assert.equal(partOf('unheard_of'), 'Other');
  const few = parts([{ name: 'liver' }, { name: 'skull' }]);
  assert.deepEqual(few, [{ title: '', members: [{ name: 'liver' }, { name: 'skull' }] }]);
  const ribs = Array.from({ length: 12 }, (_, n) => ({ name: `rib_left_${n + 1}` }));
  const all = parts([{ name: 'liver' }, ...ribs, { name: 'skull' }, { name: 'spleen' }]);
  assert.deepEqual(
    all.map(({ title, members }) => [title, members.length]),
    [
      ['Abdomen', 2],
      ['Ribs and sternum', 12],
      ['Brain', 1],
    ],
  );
  const found = (text: string): string[] =>
    matching(all, text).flatMap(({ members }) => members.map(({ name }) => name));
  assert.deepEqual(found(' Left  12'), ['rib_left_12']);
  assert.deepEqual(found('abdomen'), ['liver', 'spleen']);
  assert.deepEqual(found('abdomen rib'), []);
  assert.equal(found('').length, 15);
});
