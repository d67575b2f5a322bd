import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Extent, extend, meshOf } from '../src/mesh.ts';

/** A ball of a label in a volume of 48 x 40 x 30 voxels, all at `spacing`, that lies askew. */
function ball(radius: number, spacing: [number, number, number]) {
  const [columns, rows, depth] = [48, 40, 30];
  const middle: [number, number, number] = [24, 20, 15];
  const slices = Array.from({ length: depth }, (_, k) => {
    const slice = new Uint8Array(columns * rows);
    for (let j = 0; j < rows; j += 1)
      for (let i = 0; i < columns; i += 1) {
        const away = [i, j, k].map((n, axis) => (n - (middle[axis] ?? 0)) * (spacing[axis] ?? 1));
        if (Math.hypot(...away) <= radius) slice[j * columns + i] = 7;
      }
    return slice;
  });
  const found = new Map<number, Extent>();
  slices.forEach((slice, k) => {
    extend(found, slice, columns, k);
  });
  const matrix = [0, spacing[1], 0, 5, -spacing[0], 0, 0, 6, 0, 0, spacing[2], 7, 0, 0, 0, 1];
  const center = [middle[1] * spacing[1] + 5, -middle[0] * spacing[0] + 6, middle[2] * spacing[2] + 7];
  return { slices, found, matrix, columns, center };
}

test('the surface of a ball lies where the ball ends, and is closed', () => {
  for (const spacing of [
    [1, 1, 1],
    [0.7, 0.7, 1.3],
    [0.1, 0.1, 0.1],
  ] as [number, number, number][]) {
    const radius = 12 * Math.min(...spacing);
    const { slices, found, matrix, columns, center } = ball(radius, spacing);
    const extent = found.get(7) as Extent;
    const { points, polys } = meshOf(7, extent, k => slices[k], columns, matrix);
    for (let p = 0; p < points.length; p += 3) {
      const away = Math.hypot(...[0, 1, 2].map(axis => (points[p + axis] ?? 0) - (center[axis] ?? 0)));
      assert.ok(Math.abs(away - radius) < 0.8 * Math.max(...spacing), `${away} mm, expected ${radius}`);
    }
    const edges = new Map<string, number>();
    let volume = 0;
    const point = (n: number): number[] =>
      [0, 1, 2].map(axis => (points[3 * n + axis] ?? 0) - (center[axis] ?? 0));
    for (let t = 0; t < polys.length; t += 4) {
      assert.equal(polys[t], 3);
      const corners = [...polys.subarray(t + 1, t + 4)];
      corners.forEach((from, n) => {
        const to = corners[(n + 1) % 3] ?? 0;
        edges.set(`${from} ${to}`, (edges.get(`${from} ${to}`) ?? 0) + 1);
      });
      const [[a = 0, b = 0, c = 0] = [], [d = 0, e = 0, f = 0] = [], [x = 0, y = 0, z = 0] = []] =
        corners.map(point);
      volume += (a * (e * z - f * y) - b * (d * z - f * x) + c * (d * y - e * x)) / 6;
    }
    // Each edge belongs to two triangles, which go along it in opposite ways.
    for (const [edge, count] of edges) {
      assert.equal(count, 1);
      assert.ok(edges.has(edge.split(' ').reverse().join(' ')));
    }
    const expected = (4 / 3) * Math.PI * radius ** 3;
    assert.ok(Math.abs(volume - expected) < 0.06 * expected, `${volume} mm³, expected ${expected}`);
  }
});

test('an extent is another one when a voxel comes or goes', () => {
  const slice = new Uint8Array(12).fill(2, 5, 7);
  const of = (): Extent => {
    const found = new Map<number, Extent>();
    extend(found, slice, 4, 3);
    return found.get(2) as Extent;
  };
  const before = of();
  assert.deepEqual([before.low, before.high, before.voxels], [[1, 1, 3], [2, 1, 3], 2]);
  slice[7] = 2;
  assert.notEqual(of().mark, before.mark);
  slice[7] = 0;
  assert.equal(of().mark, before.mark);
  [slice[5], slice[7]] = [0, 2];
  assert.notEqual(of().mark, before.mark);
});
