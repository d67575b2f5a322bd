import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GeometryError, gridOf, mapped, matched, place, type Slice, sorted } from '../src/geometry.ts';
import type { ImagePlane } from '../src/host.ts';

/** A plane at a place; 4 columns of 2 mm, 3 rows of 1 mm. */
function plane(position: [number, number, number], more: Partial<ImagePlane> = {}): ImagePlane {
  return {
    rows: 3,
    columns: 4,
    imagePositionPatient: position,
    rowCosines: [1, 0, 0],
    columnCosines: [0, 1, 0],
    rowPixelSpacing: 1,
    columnPixelSpacing: 2,
    ...more,
  };
}

const slice = (name: string, at: ImagePlane): Slice => ({
  imageId: `image ${name}`,
  source: name,
  plane: at,
});
const stack = (heights: number[], more: Partial<ImagePlane> = {}): Slice[] =>
  heights.map(z => slice(String(z), plane([10, 20, z], more)));

test('slices are ordered along their normal, wherever they come from', () => {
  const order = (slices: Slice[]): string[] => sorted(slices).map(({ source }) => source);
  assert.deepEqual(order(stack([5, -1, 2])), ['-1', '2', '5']);
  // Feet first: the normal points down.
  assert.deepEqual(order(stack([5, -1, 2], { rowCosines: [-1, 0, 0] })), ['5', '2', '-1']);
});

test('the grid puts each voxel where its slice does', () => {
  const turn = Math.SQRT1_2;
  const planes: Partial<ImagePlane>[] = [
    {},
    { rowCosines: [-1, 0, 0] },
    { rowCosines: [turn, turn, 0], columnCosines: [-turn, turn, 0] },
  ];
  for (const more of planes) {
    const slices = sorted(stack([0, 3, 6], more));
    const { dims, ijkToWorld } = gridOf(slices);
    assert.deepEqual(dims, [4, 3, 3]);
    slices.forEach((slice, k) => {
      const expected = place(slice.plane, 3, 1);
      mapped(ijkToWorld, [3, 1, k]).forEach((side, n) => {
        assert.ok(Math.abs(side - (expected[n] ?? Number.NaN)) < 1e-9);
      });
    });
  }
  // Gantry tilt: slices slide past each other.
  const tilted = [0, 1, 2].map(k => slice(String(k), plane([0, 0.3 * k, 3 * k])));
  assert.deepEqual(mapped(gridOf(tilted).ijkToWorld, [0, 0, 2]), [0, 0.6, 6]);
});

test('what is no volume is refused in words', () => {
  const refused = (slices: Slice[], words: RegExp): void => {
    assert.throws(
      () => gridOf(slices),
      error => error instanceof GeometryError && words.test(error.message),
    );
  };
  refused(stack([0]), /one slice/);
  refused(stack([0, 3, 7, 9]), /not evenly spaced, first at slice 3/);
  refused([...stack([0, 3]), slice('6', plane([10, 20, 6], { columns: 5 }))], /slice 3 has another size/i);
  refused([...stack([0, 3]), slice('6', plane([10, 20, 6], { rowPixelSpacing: 1.1 }))], /slice 3/i);
});

test('results are matched by image, and held to their place', () => {
  const slices = sorted(stack([0, 3, 6, 9]));
  const { dims, ijkToWorld } = gridOf(sorted(stack([3, 6])));
  const result = { dims, ijkToWorld, sources: ['3', '6'] };
  assert.deepEqual(matched(slices, result), [undefined, 0, 1, undefined]);
  // The sidecar counts the other way.
  const [a, b] = stack([6, 3]);
  const down = gridOf([a as Slice, b as Slice]);
  const reversed = { dims, ijkToWorld: down.ijkToWorld, sources: ['6', '3'] };
  assert.deepEqual(matched(slices, reversed), [undefined, 1, 0, undefined]);
  // Frames of one image, and planes of an uneven stack without a slice.
  const frames = sorted(stack([3, 6])).map(slice => ({ ...slice, source: 'x' }));
  assert.deepEqual(matched(frames.reverse(), { ...result, sources: ['x', 'x'] }), [1, 0]);
  assert.deepEqual(matched(slices, { ...result, sources: ['3', null] }), [
    undefined,
    0,
    undefined,
    undefined,
  ]);
  const refused = (other: object, words: RegExp): void => {
    assert.throws(() => matched(slices, { ...result, ...other }), words);
  };
  refused({ sources: ['6', '3'] }, /3\.0 mm beside/);
  refused({ sources: ['x', 'y'] }, /other images/);
  refused({ dims: [3, 4, 2] }, /3 x 4 voxels a slice, the series 4 x 3/);
});
