// What a label map holds: how many voxels each structure has, and a point well inside it to look at.

/** A structure in a label map. */
export interface Extent {
  voxels: number;
  /** A voxel of it, in the slice where it is largest. */
  at: [number, number, number];
}

/** Milliseconds of work before the viewer gets its turn. */
const TURN = 40;

/**
 * The extent of each label of `labels` (`[[k, j, i]]`, i fastest). Gives way to the viewer between slices.
 */
export async function extents(
  labels: Uint8Array,
  [columns, rows, depth]: readonly [number, number, number],
): Promise<Map<number, Extent>> {
  const area = columns * rows;
  const totals = new Float64Array(256);
  const largest = new Uint32Array(256);
  const slice = new Int32Array(256).fill(-1);
  const counts = new Uint32Array(256);
  const breathe = turns();
  for (let k = 0; k < depth; k += 1) {
    counts.fill(0);
    const end = (k + 1) * area;
    for (let v = k * area; v < end; v += 1) {
      const label = labels[v] as number;
      counts[label] = (counts[label] as number) + 1;
    }
    for (let label = 1; label < 256; label += 1) {
      const count = counts[label] as number;
      totals[label] = (totals[label] as number) + count;
      if (count > (largest[label] as number)) {
        largest[label] = count;
        slice[label] = k;
      }
    }
    await breathe();
  }
  const found = new Map<number, Extent>();
  for (let label = 1; label < 256; label += 1) {
    const k = slice[label] as number;
    if (k < 0) continue;
    const plane = labels.subarray(k * area, (k + 1) * area);
    const [i, j] = middle(plane, label, columns);
    found.set(label, { voxels: totals[label] as number, at: [i, j, k] });
    await breathe();
  }
  return found;
}

/** The voxel of a label in a slice that is nearest to the label's centre: the centre itself may lie outside of it. */
function middle(plane: Uint8Array, label: number, columns: number): [number, number] {
  let [count, x, y] = [0, 0, 0];
  for (let v = plane.indexOf(label); v >= 0; v = plane.indexOf(label, v + 1)) {
    count += 1;
    x += v % columns;
    y += Math.floor(v / columns);
  }
  const [ci, cj] = [x / count, y / count];
  let best: [number, number] = [0, 0];
  let nearest = Number.POSITIVE_INFINITY;
  for (let v = plane.indexOf(label); v >= 0; v = plane.indexOf(label, v + 1)) {
    const [i, j] = [v % columns, Math.floor(v / columns)];
    const distance = (i - ci) ** 2 + (j - cj) ** 2;
    if (distance < nearest) [nearest, best] = [distance, [i, j]];
  }
  return best;
}

/** Lets the viewer draw and answer the user, where it has waited for a while; to be called often during long work. */
export function turns(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < TURN) return undefined;
    return new Promise(resolve =>
      setTimeout(() => {
        since = performance.now();
        resolve();
      }, 0),
    );
  };
}

/** `parotid_gland_left` as people write it. */
export function displayName(name: string): string {
  const words = name.replaceAll('_', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
