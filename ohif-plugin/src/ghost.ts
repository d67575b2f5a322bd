// What a click would do, drawn over a pane before it is clicked; and the box that is being drawn. Nothing of the viewer's
// own picture changes.

import { type Delta, rows } from './delta.ts';
import { dot, mapped, type Vector } from './geometry.ts';
import type { Viewport } from './host.ts';

/** Part of a voxel that it may lie off the plane of a pane and still be drawn. */
const HALF = 0.5;

export class Ghost {
  private canvas: HTMLCanvasElement | undefined;

  /** Draws the voxels of a change that lie in the plane of a pane, in a colour; those that would go are hatched. */
  show(
    viewport: Viewport,
    delta: Delta,
    dims: Vector,
    ijkToWorld: readonly number[],
    [red = 0, green = 0, blue = 0]: readonly number[],
    isRemoving: boolean,
  ): void {
    const place = placed(viewport, ijkToWorld);
    const paper = this.paper(viewport);
    if (!place || !paper) return;
    paper.beginPath();
    for (const found of rows(delta, dims).values()) {
      for (const [[i, j, k], length] of found) {
        // Along a row voxels may leave the plane one by one: where they do, each is drawn for itself.
        const pieces = place.along === 0 ? [[i, length] as const] : each(i, length);
        for (const [first, voxels] of pieces) {
          if (place.off([first, j, k]) > HALF) continue;
          outline(paper, place, [first, j, k], voxels);
        }
      }
    }
    const color = (alpha: number): string => `rgb(${red} ${green} ${blue} / ${alpha})`;
    // The outline of all, without those of the rows within.
    paper.lineWidth = 3;
    paper.strokeStyle = isRemoving ? '#fff' : color(1);
    paper.stroke();
    paper.globalCompositeOperation = 'destination-out';
    paper.fill();
    paper.globalCompositeOperation = 'source-over';
    paper.fillStyle = isRemoving ? hatched(paper) : color(0.45);
    paper.fill();
  }

  /** Draws a box from one corner to the other, in pixels of the pane. */
  box(
    viewport: Viewport,
    [x0, y0]: readonly number[],
    [x1, y1]: readonly number[],
    isRemoving: boolean,
  ): void {
    const paper = this.paper(viewport);
    if (!paper || x0 === undefined || y0 === undefined || x1 === undefined || y1 === undefined) return;
    paper.setLineDash([6, 4]);
    paper.lineWidth = 1.5;
    paper.strokeStyle = isRemoving ? '#ff7b72' : '#5acce6';
    paper.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  clear(): void {
    this.canvas?.remove();
    this.canvas = undefined;
  }

  /** An empty sheet over a pane. */
  private paper({ element }: Viewport): CanvasRenderingContext2D | null {
    this.clear();
    const canvas = document.createElement('canvas');
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = element;
    Object.assign(canvas, { width: width * scale, height: height * scale });
    for (const [name, value] of Object.entries({
      position: 'absolute',
      inset: '0',
      width: '100%',
      height: '100%',
      'pointer-events': 'none',
    })) {
      canvas.style.setProperty(name, value);
    }
    canvas.dataset.cy = 'vesalius-ghost';
    element.append(canvas);
    this.canvas = canvas;
    const paper = canvas.getContext('2d');
    paper?.scale(scale, scale);
    return paper;
  }
}

/** How voxels of a volume lie on a pane. */
interface Placed {
  /** Pixels of the pane of a place `[i, j, k]`. */
  at(index: Vector): [number, number];
  /** How far a voxel is from the plane of the pane, in parts of its own thickness along the axis nearest to the normal. */
  off(index: Vector): number;
  /** How much a step along i leaves the plane: 0 for not at all. */
  along: 0 | 1;
  /** The axes that lie in the pane. */
  axes: [0 | 1 | 2, 0 | 1 | 2];
}

function placed(viewport: Viewport, ijkToWorld: readonly number[]): Placed | undefined {
  const { viewPlaneNormal, focalPoint } = viewport.getCamera?.() ?? {};
  if (!viewPlaneNormal || !focalPoint || !viewport.worldToCanvas) return undefined;
  const normal = [...viewPlaneNormal] as Vector;
  const world = (index: Vector): Vector => mapped(ijkToWorld, index);
  const minus = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const zero = world([0, 0, 0]);
  const steps = ([0, 1, 2] as const).map(axis => minus(world(unit(axis)), zero));
  const across = steps.map(step => Math.abs(dot(step, normal)));
  const through = across.indexOf(Math.max(...across)) as 0 | 1 | 2;
  const [a, b] = ([0, 1, 2] as const).filter(axis => axis !== through) as [0 | 1 | 2, 0 | 1 | 2];
  const height = dot([...focalPoint] as Vector, normal);
  // Parallel projection: pixels are linear in the index.
  const canvas = (index: Vector): [number, number] => {
    const [x = 0, y = 0] = viewport.worldToCanvas?.(world(index)) ?? [];
    return [x, y];
  };
  const origin = canvas([0, 0, 0]);
  const sides = ([0, 1, 2] as const).map(axis => {
    const [x, y] = canvas(unit(axis, 100));
    return [(x - origin[0]) / 100, (y - origin[1]) / 100] as const;
  });
  return {
    at: index => {
      let [x, y] = origin;
      sides.forEach(([dx, dy], axis) => {
        x += dx * (index[axis] ?? 0);
        y += dy * (index[axis] ?? 0);
      });
      return [x, y];
    },
    off: index => Math.abs(dot(world(index), normal) - height) / (across[through] || 1),
    along: (across[0] ?? 0) > 1e-3 * Math.hypot(...(steps[0] ?? [1])) ? 1 : 0,
    axes: [a, b],
  };
}

const unit = (axis: 0 | 1 | 2, length = 1): Vector => [0, 1, 2].map(n => (n === axis ? length : 0)) as Vector;

function* each(first: number, length: number): Generator<readonly [number, number]> {
  for (let n = 0; n < length; n += 1) yield [first + n, 1];
}

/** The outline of some voxels in a row, or of one. */
function outline(paper: CanvasRenderingContext2D, place: Placed, [i, j, k]: Vector, voxels: number): void {
  const corner = (s: number, t: number): [number, number] => {
    const index: Vector = [i, j, k];
    const [a, b] = place.axes;
    const long = (axis: number): number => (axis === 0 ? voxels : 1);
    index[a] += (s ? long(a) : 0) - HALF;
    index[b] += (t ? long(b) : 0) - HALF;
    return place.at(index);
  };
  paper.moveTo(...corner(0, 0));
  paper.lineTo(...corner(1, 0));
  paper.lineTo(...corner(1, 1));
  paper.lineTo(...corner(0, 1));
  paper.closePath();
}

/** For what would go: lines over what is there. */
function hatched(paper: CanvasRenderingContext2D): CanvasPattern | string {
  const tile = document.createElement('canvas');
  Object.assign(tile, { width: 6, height: 6 });
  const line = tile.getContext('2d');
  if (!line) return '#ffffff60';
  line.strokeStyle = '#ffffffd0';
  line.beginPath();
  line.moveTo(0, 6);
  line.lineTo(6, 0);
  line.stroke();
  return paper.createPattern(tile, 'repeat') ?? '#ffffff60';
}
