// What a label map holds: a point well inside a structure to look at, and what it is called.

/** Milliseconds of work before the viewer gets its turn. */
const TURN = 40;

/** A voxel of a label `[i, j, k]`, in the slice where it is largest; none where no slice has it. */
export function placeOf(
  label: number,
  slice: (k: number) => Uint8Array | undefined,
  [columns, , depth]: readonly [number, number, number],
): [number, number, number] | undefined {
  let [largest, at] = [0, -1];
  for (let k = 0; k < depth; k += 1) {
    const plane = slice(k);
    const first = plane?.indexOf(label) ?? -1;
    if (!plane || first < 0) continue;
    let count = 0;
    for (let v = first; v < plane.length; v += 1) count += plane[v] === label ? 1 : 0;
    if (count > largest) [largest, at] = [count, k];
  }
  const plane = at < 0 ? undefined : slice(at);
  return plane && [...middle(plane, label, columns), at];
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
