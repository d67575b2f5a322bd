// What an edit changed: a box, and in it runs of voxels with their old and new labels (docs/correction.md, "A delta").

import type { Vector } from './geometry.ts';

/** Voxels of a box that change alike, in a row: i fastest, then j, then k. */
interface Run {
  /** Voxels of the box between the run before, or the box's start, and this one. */
  skip: number;
  length: number;
  from: number;
  to: number;
}

export interface Delta {
  /** First voxel `[i, j, k]` and voxels along each axis. */
  start: Vector;
  size: Vector;
  runs: Run[];
}

const MAGIC = '56534431';

/** Reads a delta from two hexadecimal digits a byte. */
export function decode(hex: string): Delta {
  if (!hex.startsWith(MAGIC) || hex.length % 2) throw new Error('A correction could not be read.');
  let at = MAGIC.length;
  const byte = (): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16);
    if (Number.isNaN(value)) throw new Error('A correction broke off.');
    at += 2;
    return value;
  };
  // Sizes and runs may need more than 32 bits, so no shifts.
  const number = (): number => {
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const next = byte();
      value += (next & 127) * scale;
      if (next < 128) return value;
    }
  };
  const vector = (): Vector => [number(), number(), number()];
  const [start, size] = [vector(), vector()];
  const changes = Array.from({ length: number() }, () => ({ from: byte(), to: byte() }));
  const runs = Array.from({ length: number() }, (): Run => {
    const skip = number();
    const both = number();
    const change = changes[both % changes.length];
    if (!change) throw new Error('A correction names a change that it does not have.');
    return { skip, length: Math.floor(both / changes.length), ...change };
  });
  if (at !== hex.length) throw new Error('A correction has more bytes than it says.');
  return { start, size, runs };
}

/** Writes a delta as two hexadecimal digits a byte. */
export function encode({ start, size, runs }: Delta): string {
  const bytes: number[] = [];
  const number = (value: number): void => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    bytes.push(rest);
  };
  for (const side of [...start, ...size]) number(side);
  const key = ({ from, to }: Run): number => 256 * from + to;
  const changes = [...new Set(runs.map(key))].sort((a, b) => a - b);
  number(changes.length);
  for (const change of changes) bytes.push(change >> 8, change & 255);
  number(runs.length);
  for (const run of runs) {
    number(run.skip);
    number(run.length * changes.length + changes.indexOf(key(run)));
  }
  return MAGIC + bytes.map(byte => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Makes the changes in `labels` (`[[k, j, i]]`, i fastest), all of them or, where they do not fit, none. Gives the slices
 * that changed.
 */
export function apply(delta: Delta, labels: Uint8Array, dims: Vector): number[] {
  const slices = new Set<number>();
  walk(delta, dims, (begin, end, { from }, k) => {
    for (let v = begin; v < end; v += 1) {
      if (labels[v] !== from) throw new Error('A correction does not fit the labels shown.');
    }
    slices.add(k);
  });
  walk(delta, dims, (begin, end, { to }) => labels.fill(to, begin, end));
  return [...slices];
}

/** Calls back for each piece of a run that lies in one row: voxels `begin..end` of the label map, in slice k. */
function walk(
  { start, size, runs }: Delta,
  [columns, rows, depth]: Vector,
  visit: (begin: number, end: number, run: Run, k: number) => void,
): void {
  const isInside = start[0] + size[0] <= columns && start[1] + size[1] <= rows && start[2] + size[2] <= depth;
  if (!isInside) throw new Error('A correction lies beyond the image.');
  let place = 0;
  for (const run of runs) {
    place += run.skip;
    for (let left = run.length; left > 0; ) {
      const i = place % size[0];
      const j = Math.floor(place / size[0]) % size[1];
      const k = Math.floor(place / size[0] / size[1]);
      if (k >= size[2]) throw new Error('A correction lies beyond its box.');
      const length = Math.min(left, size[0] - i);
      const begin = ((start[2] + k) * rows + start[1] + j) * columns + start[0] + i;
      visit(begin, begin + length, run, start[2] + k);
      place += length;
      left -= length;
    }
  }
}

/** What leads from `old` labels to those that `slice(k)` gives, where it gives any; nothing where they are equal. */
export function between(
  old: Uint8Array,
  slice: (k: number) => Uint8Array | undefined,
  [columns, rows, depth]: Vector,
): Delta | undefined {
  const area = columns * rows;
  const low: Vector = [columns, rows, depth];
  const high: Vector = [-1, -1, -1];
  for (let k = 0; k < depth; k += 1) {
    const now = slice(k);
    if (!now || areEqual(old, k * area, now)) continue;
    for (let v = 0; v < area; v += 1) {
      if (now[v] === old[k * area + v]) continue;
      [v % columns, Math.floor(v / columns), k].forEach((index, axis) => {
        low[axis] = Math.min(low[axis] as number, index);
        high[axis] = Math.max(high[axis] as number, index);
      });
    }
  }
  if (high[2] < 0) return undefined;
  const size = high.map((last, axis) => last - (low[axis] as number) + 1) as Vector;
  const runs: Run[] = [];
  let skip = 0;
  for (let k = low[2]; k <= high[2]; k += 1) {
    const now = slice(k) ?? old.subarray(k * area, (k + 1) * area);
    for (let j = low[1]; j <= high[1]; j += 1) {
      for (let i = low[0]; i <= high[0]; i += 1) {
        const [from, to] = [old[(k * rows + j) * columns + i] as number, now[j * columns + i] as number];
        const last = runs[runs.length - 1];
        if (from === to) skip += 1;
        else if (last && skip === 0 && last.from === from && last.to === to) last.length += 1;
        else {
          runs.push({ skip, length: 1, from, to });
          skip = 0;
        }
      }
    }
  }
  return { start: low, size, runs };
}

/** The same voxels made the same labels, on other labels than those it was made for; nothing where they are so already. */
export function rebased(delta: Delta, labels: Uint8Array, dims: Vector): Delta | undefined {
  const area = dims[0] * dims[1];
  const slices = new Map<number, Uint8Array>();
  walk(delta, dims, (begin, end, { to }, k) => {
    const slice = slices.get(k) ?? labels.slice(k * area, (k + 1) * area);
    slices.set(k, slice.fill(to, begin - k * area, end - k * area));
  });
  return between(labels, k => slices.get(k), dims);
}

/** The rows that a delta changes, `[first voxel, length, new label]` in each slice. */
export function rows(delta: Delta, dims: Vector): Map<number, [Vector, number, number][]> {
  const found = new Map<number, [Vector, number, number][]>();
  walk(delta, dims, (begin, end, { to }, k) => {
    const first: Vector = [begin % dims[0], Math.floor(begin / dims[0]) % dims[1], k];
    found.set(k, [...(found.get(k) ?? []), [first, end - begin, to]]);
  });
  return found;
}

/** Whether a slice is as before, four voxels at a time where memory allows. */
function areEqual(old: Uint8Array, from: number, now: Uint8Array): boolean {
  const before = old.subarray(from, from + now.length);
  const canWiden = [before.byteOffset, now.byteOffset, now.length].every(number => number % 4 === 0);
  const wide = (labels: Uint8Array): ArrayLike<number> =>
    canWiden ? new Uint32Array(labels.buffer, labels.byteOffset, labels.length / 4) : labels;
  const [one, other] = [wide(before), wide(now)];
  for (let v = 0; v < one.length; v += 1) if (one[v] !== other[v]) return false;
  return true;
}
