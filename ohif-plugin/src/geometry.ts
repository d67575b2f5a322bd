// Where slices lie, from DICOM's image planes: millimetres in the patient's axes (LPS+). The order of slices is theirs in
// space, never that of an array.

import type { ImagePlane } from './host.ts';

export type Vector = [number, number, number];

/** One slice of a series. */
export interface Slice {
  imageId: string;
  /** SOP Instance UID of the image that the slice comes from. */
  source: string;
  plane: ImagePlane;
}

/** Voxels `[i, j, k]`, i fastest, and the rows of the 4x4 matrix from index to millimetres. */
export interface Grid {
  dims: Vector;
  ijkToWorld: number[];
}

/** Why slices make no volume, in words for the user. */
export class GeometryError extends Error {}

export const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const plus = (a: Vector, b: Vector, times: number): Vector => [
  a[0] + times * b[0],
  a[1] + times * b[1],
  a[2] + times * b[2],
];
const length = (a: Vector): number => Math.hypot(...a);

/** Perpendicular to a slice; columns and rows and it are right-handed. */
export function normal({ rowCosines: [a, b, c], columnCosines: [d, e, f] }: ImagePlane): Vector {
  return [b * f - c * e, c * d - a * f, a * e - b * d];
}

/** Slices along their common normal. */
export function sorted(slices: readonly Slice[]): Slice[] {
  const [first] = slices;
  if (!first) return [];
  const along = normal(first.plane);
  const height = (slice: Slice): number => dot(slice.plane.imagePositionPatient, along);
  return [...slices].sort((a, b) => height(a) - height(b));
}

/** Millimetres from the patient's origin of a voxel of a slice. */
export function place(plane: ImagePlane, i: number, j: number): Vector {
  const across = plus(plane.imagePositionPatient, plane.rowCosines, i * plane.columnPixelSpacing);
  return plus(across, plane.columnCosines, j * plane.rowPixelSpacing);
}

/** The grid of evenly spaced parallel slices, given in order. Sheared stacks (gantry tilt) are grids too. */
export function gridOf(slices: readonly Slice[]): Grid {
  const first = slices[0]?.plane;
  const last = slices[slices.length - 1]?.plane;
  if (!first || !last || slices.length < 2) {
    throw new GeometryError('The series has one slice. A volume needs several.');
  }
  const step = plus(last.imagePositionPatient, first.imagePositionPatient, -1).map(
    side => side / (slices.length - 1),
  ) as Vector;
  const tolerance = 0.05 * length(step) + 0.01;
  slices.forEach(({ plane }, k) => {
    const isAlike =
      plane.rows === first.rows &&
      plane.columns === first.columns &&
      Math.abs(plane.rowPixelSpacing - first.rowPixelSpacing) < 1e-4 * first.rowPixelSpacing &&
      Math.abs(plane.columnPixelSpacing - first.columnPixelSpacing) < 1e-4 * first.columnPixelSpacing &&
      dot(normal(plane), normal(first)) > 0.99999 &&
      dot(plane.rowCosines, first.rowCosines) > 0.99999;
    if (!isAlike) {
      throw new GeometryError(`Slice ${k + 1} has another size or direction than the first one.`);
    }
    const expected = plus(first.imagePositionPatient, step, k);
    if (length(plus(plane.imagePositionPatient, expected, -1)) > tolerance) {
      throw new GeometryError(`The slices are not evenly spaced, first at slice ${k + 1}.`);
    }
  });
  const i = first.rowCosines.map(side => side * first.columnPixelSpacing) as Vector;
  const j = first.columnCosines.map(side => side * first.rowPixelSpacing) as Vector;
  const rows = ([0, 1, 2] as const).map(r => [i[r], j[r], step[r], first.imagePositionPatient[r]]);
  return {
    dims: [first.columns, first.rows, slices.length],
    ijkToWorld: [...rows.flat(), 0, 0, 0, 1],
  };
}

/** Where a matrix of rows puts a voxel. */
export function mapped(matrix: readonly number[], index: Vector): Vector {
  return ([0, 1, 2] as const).map(r =>
    [0, 1, 2].reduce(
      (sum, c) => sum + (matrix[4 * r + c] ?? 0) * (index[c] ?? 0),
      matrix[4 * r + 3] ?? Number.NaN,
    ),
  ) as Vector;
}

/** Where a place in millimetres lies on a grid: the inverse of `mapped`. */
export function indexOf(matrix: readonly number[], at: Vector): Vector {
  const zero = mapped(matrix, [0, 0, 0]);
  const [i, j, k] = ([0, 1, 2] as const).map(axis =>
    plus(mapped(matrix, [0, 1, 2].map(n => Number(n === axis)) as Vector), zero, -1),
  ) as [Vector, Vector, Vector];
  const cross = ([a, b, c]: Vector, [d, e, f]: Vector): Vector => [
    b * f - c * e,
    c * d - a * f,
    a * e - b * d,
  ];
  const volume = dot(i, cross(j, k));
  const away = plus(at, zero, -1);
  return [cross(j, k), cross(k, i), cross(i, j)].map(side => dot(side, away) / volume) as Vector;
}

/** The source of each slice k of a result, by where the viewer's slices lie: for results that do not name theirs. */
export function sourcesAt(slices: readonly Slice[], { dims, ijkToWorld }: Grid): (string | null)[] {
  const sources: (string | null)[] = Array.from({ length: dims[2] }, () => null);
  const [first, second] = [mapped(ijkToWorld, [0, 0, 0]), mapped(ijkToWorld, [0, 0, 1])];
  const step = plus(second, first, -1);
  for (const { source, plane } of slices) {
    const away = plus(plane.imagePositionPatient, first, -1);
    const k = Math.round(dot(away, step) / dot(step, step));
    if (k >= 0 && k < dims[2]) sources[k] = source;
  }
  return sources;
}

/**
 * For each slice of `slices` the index k of the result that belongs to it, or none. Matched by SOP Instance UID, and then
 * checked in millimetres: a result that lies elsewhere is an error, not a picture.
 */
export function matched(
  slices: readonly Slice[],
  result: { dims: readonly number[]; ijkToWorld: readonly number[]; sources: readonly (string | null)[] },
): (number | undefined)[] {
  const indices = new Map<string, number[]>();
  result.sources.forEach((source, k) => {
    if (source !== null) indices.set(source, [...(indices.get(source) ?? []), k]);
  });
  const [columns = 0, rows = 0] = result.dims;
  const apartAt = (plane: ImagePlane, [i, j]: [number, number], k: number): number =>
    length(plus(place(plane, i, j), mapped(result.ijkToWorld, [i, j, k]), -1));
  let found = 0;
  const order = slices.map(({ source, plane }) => {
    // Several slices come from one image where that has frames: the one that lies here is meant.
    const [k] = (indices.get(source) ?? []).sort(
      (a, b) => apartAt(plane, [0, 0], a) - apartAt(plane, [0, 0], b),
    );
    if (k === undefined) return undefined;
    found += 1;
    if (plane.columns !== columns || plane.rows !== rows) {
      throw new GeometryError(
        `The result has ${columns} x ${rows} voxels a slice, the series ${plane.columns} x ${plane.rows}.`,
      );
    }
    const corners: [number, number][] = [
      [0, 0],
      [columns - 1, 0],
      [0, rows - 1],
    ];
    for (const corner of corners) {
      const apart = apartAt(plane, corner, k);
      if (!(apart < 0.25 * Math.min(plane.columnPixelSpacing, plane.rowPixelSpacing))) {
        throw new GeometryError(`The result lies ${apart.toFixed(1)} mm beside the images.`);
      }
    }
    return k;
  });
  if (!found) throw new GeometryError('The result belongs to other images than those of this series.');
  return order;
}
