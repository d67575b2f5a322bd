import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayName, placeOf } from '../src/labels.ts';

test('a place is in the structure, where it is largest', () => {
  const [columns, rows, depth] = [6, 5, 4];
  const labels = new Uint8Array(columns * rows * depth);
  const put = (i: number, j: number, k: number, label: number): void => {
    labels[i + columns * (j + rows * k)] = label;
  };
  put(0, 0, 0, 7);
  // A ring in slice 2: its centre is not part of it.
  for (const [i, j] of [
    [1, 1],
    [2, 1],
    [3, 1],
    [1, 2],
    [3, 2],
    [1, 3],
    [2, 3],
    [3, 3],
  ] as const) {
    put(i, j, 2, 3);
  }
  put(5, 4, 3, 3);
  const slice = (k: number): Uint8Array => labels.subarray(k * columns * rows, (k + 1) * columns * rows);
  const dims = [columns, rows, depth] as const;
  assert.deepEqual(placeOf(7, slice, dims), [0, 0, 0]);
  assert.equal(placeOf(9, slice, dims), undefined);
  const [i = 0, j = 0, k = 0] = placeOf(3, slice, dims) ?? [];
  assert.equal(k, 2);
  assert.equal(labels[i + columns * (j + rows * k)], 3);
});

test('names are written as people do', () => {
  assert.equal(displayName('parotid_gland_left'), 'Parotid gland left');
  assert.equal(displayName('vertebrae_L5'), 'Vertebrae L5');
});
