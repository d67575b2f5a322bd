import assert from 'node:assert/strict';
import { test } from 'node:test';
import GOLDEN from '../../tests/golden/deltas.json' with { type: 'json' };
import { apply, between, decode, encode, rebased, rows } from '../src/delta.ts';
import type { Vector } from '../src/geometry.ts';

// Made by the Rust crate: tests/deltas.rs.
const DIMS = GOLDEN.dims as Vector;
const AREA = DIMS[0] * DIMS[1];

/** Labels as the program that made the bytes had them. */
function labels(seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: AREA * DIMS[2] }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 24) % 3;
  });
}

test('the page of the documentation is read as it says', () => {
  const delta = decode('56534431030405020201020002010202000400' + '03');
  assert.deepEqual(
    [delta.start, delta.size],
    [
      [3, 4, 5],
      [2, 2, 1],
    ],
  );
  assert.deepEqual(delta.runs, [
    { skip: 0, length: 2, from: 0, to: 2 },
    { skip: 0, length: 1, from: 1, to: 2 },
  ]);
  assert.deepEqual(decode('5653443100000000000000' + '00').runs, []);
});

const CASES = GOLDEN.cases.map(({ old, new: seed, set, delta }) => {
  const [before, after] = [labels(old), labels(seed)];
  for (const [i = 0, j = 0, k = 0, label = 0] of set) after[k * AREA + j * DIMS[0] + i] = label;
  return { before, after, hex: delta };
});

test('bytes of the Rust crate are read and written alike', () => {
  assert.ok(CASES.length >= 4);
  for (const { hex, before, after } of CASES) {
    const slice = (k: number) => after.slice(k * AREA, (k + 1) * AREA);
    const changed = Array.from({ length: DIMS[2] }, (_, k) => k).filter(k =>
      slice(k).some((label, v) => label !== before[k * AREA + v]),
    );
    const found = before.slice();
    assert.deepEqual(apply(decode(hex), found, DIMS), changed);
    assert.deepEqual(found, after);
    const written = between(before, slice, DIMS);
    assert.equal(written && encode(written), hex);
    assert.equal(between(after, slice, DIMS), undefined);
  }
});

test('what does not fit changes nothing', () => {
  const [{ hex, after } = { hex: '', after: new Uint8Array() }] = CASES;
  const found = after.slice();
  assert.throws(() => apply(decode(hex), found, DIMS), /does not fit/);
  assert.deepEqual(found, after);
  assert.throws(() => apply(decode(hex), new Uint8Array(8), [2, 2, 2]), /beyond the image/);
  for (const broken of ['', '5653', hex.slice(0, -2), `${hex}00`, hex.replace('56534431', '56534432')]) {
    assert.throws(() => decode(broken));
  }
});

test('a stroke says the same on labels that others have changed meanwhile', () => {
  const old = labels(1);
  const drawn = old.slice();
  for (const v of [3, 4, 5, AREA + 1]) drawn[v] = 2;
  const stroke = between(old, k => drawn.subarray(k * AREA, (k + 1) * AREA), DIMS);
  assert.ok(stroke);
  const theirs = old.slice();
  for (const v of [4, 9]) theirs[v] = 1 - Math.min(1, theirs[v] as number);
  const anew = rebased(stroke, theirs, DIMS);
  assert.ok(anew);
  const expected = theirs.slice();
  // Where the stroke changed nothing at first, it says nothing now.
  for (const v of [3, 4, 5, AREA + 1]) if (old[v] !== 2) expected[v] = 2;
  apply(anew, theirs, DIMS);
  assert.deepEqual(theirs, expected);
  assert.equal(rebased(stroke, expected, DIMS), undefined);
});

test('rows of a change are told slice by slice', () => {
  const delta = decode('56534431030405020201020002010202000400' + '03');
  const dims: Vector = [8, 8, 8];
  assert.deepEqual(
    [...rows(delta, dims)],
    [
      [
        5,
        [
          [[3, 4, 5], 2, 2],
          [[3, 5, 5], 1, 2],
        ],
      ],
    ],
  );
});
