// Surfaces of structures, for panes in three dimensions: surface nets (Gibson 1998) over the share of a structure in small
// blocks, smoothed without shrinking (Taubin 1995). The viewer's own conversion takes seconds for each structure.

import { mapped, type Vector } from './geometry.ts';

/** Blocks that a structure is divided into at most, about: a liver in blocks of 3.5 mm, a vertebra voxel by voxel. */
const BLOCKS = 120_000;
/** Steps of smoothing, there and back. */
const SMOOTHING = 8;
const [SHRINK, GROW] = [0.5, -0.53];

/** Where the voxels of a label lie. */
export interface Extent {
  low: Vector;
  high: Vector;
  voxels: number;
  /** Another one whenever voxels come or go, as good as always. */
  mark: number;
}

export interface Mesh {
  /** Millimetres, three for each point. */
  points: Float32Array;
  /** `3, a, b, c` for each triangle. */
  polys: Uint32Array;
}

/** A slice of labels, i fastest. */
export type SliceOf = (k: number) => Uint8Array | undefined;

/** The extents of all labels in a slice, added to those of the slices before. */
export function extend(found: Map<number, Extent>, slice: Uint8Array, columns: number, k: number): void {
  const rows = slice.length / columns;
  for (let j = 0; j < rows; j += 1) {
    const row = j * columns;
    for (let i = 0; i < columns; ) {
      const label = slice[row + i] as number;
      const first = i;
      while (i < columns && slice[row + i] === label) i += 1;
      if (label) widen(found, label, [first, j, k], i - first, k * slice.length + row + first);
    }
  }
}

function widen(
  found: Map<number, Extent>,
  label: number,
  [i, j, k]: Vector,
  length: number,
  place: number,
): void {
  const extent = found.get(label) ?? { low: [i, j, k], high: [i, j, k], voxels: 0, mark: 0 };
  const { low, high } = extent;
  if (i < low[0]) low[0] = i;
  if (j < low[1]) low[1] = j;
  if (k < low[2]) low[2] = k;
  if (i + length - 1 > high[0]) high[0] = i + length - 1;
  if (j > high[1]) high[1] = j;
  if (k > high[2]) high[2] = k;
  extent.voxels += length;
  extent.mark = (extent.mark * 31 + place * 7 + length) % 4_294_967_291;
  found.set(label, extent);
}

/** The surface of a label that lies within an extent. */
export function meshOf(
  label: number,
  { low, high }: Extent,
  slice: SliceOf,
  columns: number,
  ijkToWorld: readonly number[],
): Mesh {
  const field = shares(label, low, high, slice, columns, blockOf(low, high, ijkToWorld));
  const { points, quads } = nets(field);
  smooth(points, quads);
  return inSpace(points, quads, field, low, ijkToWorld);
}

/** Voxels of a block along each axis: cubes in space, as far as voxels can make them. */
function blockOf(low: Vector, high: Vector, matrix: readonly number[]): Vector {
  const spacing = [0, 1, 2].map(axis =>
    Math.hypot(...[0, 4, 8].map(row => matrix[row + axis] ?? 0)),
  ) as Vector;
  const volume = spacing.reduce((all, mm, axis) => all * mm * ((high[axis] ?? 0) - (low[axis] ?? 0) + 1), 1);
  const side = Math.cbrt(volume / BLOCKS);
  return spacing.map(mm => Math.max(1, Math.round(side / mm))) as Vector;
}

/** The share of a label in each block, with a border of nothing around. */
interface Field {
  values: Float32Array;
  size: Vector;
  block: Vector;
}

function shares(
  label: number,
  low: Vector,
  high: Vector,
  slice: SliceOf,
  columns: number,
  block: Vector,
): Field {
  const size = [0, 1, 2].map(
    axis => Math.ceil(((high[axis] ?? 0) - (low[axis] ?? 0) + 1) / (block[axis] ?? 1)) + 2,
  ) as Vector;
  const values = new Float32Array(size[0] * size[1] * size[2]);
  const share = 1 / (block[0] * block[1] * block[2]);
  const places = Int32Array.from({ length: high[0] - low[0] + 1 }, (_, i) => 1 + Math.floor(i / block[0]));
  for (let k = low[2]; k <= high[2]; k += 1) {
    const labels = slice(k);
    if (!labels) continue;
    const plane = (1 + Math.floor((k - low[2]) / block[2])) * size[1];
    for (let j = low[1]; j <= high[1]; j += 1) {
      const row = (plane + 1 + Math.floor((j - low[1]) / block[1])) * size[0];
      const from = j * columns + low[0];
      for (let i = 0; i < places.length; i += 1) {
        if (labels[from + i] !== label) continue;
        const at = row + (places[i] as number);
        values[at] = (values[at] as number) + share;
      }
    }
  }
  return { values, size, block };
}

/** Corners of a cube, and its edges between them, as steps along the axes. */
const CORNERS = Array.from({ length: 8 }, (_, n) => [n & 1, (n >> 1) & 1, n >> 2] as Vector);
const EDGES = CORNERS.flatMap((_, a) =>
  [1, 2, 4].filter(bit => !(a & bit)).map(bit => [a, a | bit] as const),
);

/** One point in each cube of blocks that the surface passes through, and four of them around each edge that it cuts. */
function nets({ values, size: [width, height, depth] }: Field): { points: number[]; quads: number[] } {
  const [points, quads]: [number[], number[]] = [[], []];
  const steps = [1, width, width * height] as const;
  const corners = CORNERS.map(([i, j, k]) => i + j * steps[1] + k * steps[2]);
  const index = new Int32Array(values.length).fill(-1);
  const isIn = (at: number): boolean => (values[at] as number) >= 0.5;
  for (let k = 0; k < depth - 1; k += 1) {
    for (let j = 0; j < height - 1; j += 1) {
      for (let i = 0; i < width - 1; i += 1) {
        const at = i + j * steps[1] + k * steps[2];
        let inside = 0;
        for (let n = 0; n < 8; n += 1) inside += isIn(at + (corners[n] as number)) ? 1 : 0;
        if (inside === 0 || inside === 8) continue;
        index[at] = points.length / 3;
        points.push(...crossing(values, at, corners, [i, j, k]));
      }
    }
  }
  for (let k = 1; k < depth - 1; k += 1) {
    for (let j = 1; j < height - 1; j += 1) {
      for (let i = 1; i < width - 1; i += 1) {
        const at = i + j * steps[1] + k * steps[2];
        for (let axis = 0; axis < 3; axis += 1) {
          const [u, v] = [steps[(axis + 1) % 3] as number, steps[(axis + 2) % 3] as number];
          for (const to of [at + (steps[axis] as number), at - (steps[axis] as number)]) {
            if (!isIn(at) || isIn(to)) continue;
            const cube = Math.min(at, to);
            const around = [cube, cube - u, cube - u - v, cube - v].map(n => index[n] as number);
            quads.push(...(to > at ? around : around.reverse()));
          }
        }
      }
    }
  }
  return { points, quads };
}

/** The middle of where the surface cuts the edges of a cube. */
function crossing(values: Float32Array, at: number, corners: readonly number[], cube: Vector): Vector {
  const sum: Vector = [0, 0, 0];
  let count = 0;
  for (const [a, b] of EDGES) {
    const [one, other] = [values[at + (corners[a] ?? 0)] ?? 0, values[at + (corners[b] ?? 0)] ?? 0];
    if (one >= 0.5 === other >= 0.5) continue;
    const part = (0.5 - one) / (other - one);
    const [from, to] = [CORNERS[a] as Vector, CORNERS[b] as Vector];
    for (let axis = 0; axis < 3; axis += 1) {
      const start = from[axis] as number;
      sum[axis] = (sum[axis] as number) + start + part * ((to[axis] as number) - start);
    }
    count += 1;
  }
  return cube.map((side, axis) => side + (sum[axis] as number) / count) as Vector;
}

/** Moves each point towards the middle of its neighbours, and a little more away from it. */
function smooth(points: number[], quads: readonly number[]): void {
  const sums = new Float64Array(points.length);
  const counts = new Uint16Array(points.length / 3);
  for (let step = 0; step < 2 * SMOOTHING; step += 1) {
    sums.fill(0);
    counts.fill(0);
    for (let q = 0; q < quads.length; q += 4) {
      for (let n = 0; n < 4; n += 1) {
        const [a, b] = [quads[q + n] as number, quads[q + ((n + 1) & 3)] as number];
        counts[a] = (counts[a] as number) + 1;
        for (let axis = 0; axis < 3; axis += 1) {
          sums[3 * a + axis] = (sums[3 * a + axis] as number) + (points[3 * b + axis] as number);
        }
      }
    }
    const part = step % 2 ? GROW : SHRINK;
    for (let p = 0; p < points.length; p += 1) {
      const count = counts[Math.floor(p / 3)] as number;
      const here = points[p] as number;
      if (count) points[p] = here + part * ((sums[p] as number) / count - here);
    }
  }
}

/** Points in millimetres, and two triangles for each quad. */
function inSpace(
  points: readonly number[],
  quads: readonly number[],
  { block }: Field,
  low: Vector,
  ijkToWorld: readonly number[],
): Mesh {
  const world = new Float32Array(points.length);
  for (let p = 0; p < points.length; p += 3) {
    // Block n of the field covers voxels from (n - 1) blocks on; its value lies in their middle.
    const index = [0, 1, 2].map(
      axis => (low[axis] ?? 0) + ((points[p + axis] ?? 0) - 0.5) * (block[axis] ?? 1) - 0.5,
    ) as Vector;
    world.set(mapped(ijkToWorld, index), p);
  }
  const polys = new Uint32Array(quads.length * 2);
  for (let q = 0; q < quads.length; q += 4) {
    const [a, b, c, d] = quads.slice(q, q + 4) as [number, number, number, number];
    polys.set([3, a, b, c, 3, a, c, d], 2 * q);
  }
  return { points: world, polys };
}
