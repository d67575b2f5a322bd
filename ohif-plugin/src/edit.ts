// A segmentation in the viewer while it is corrected: its voxels, the mouse in its panes, and the viewer's own history.

import type { Vector } from './geometry.ts';
import type { Host, Memo, MouseDetail, ToolGroup, Viewport } from './host.ts';

const TOOL = 'VesaliusFix';
const CONTROL = 17;
const SHIFT = 16;
const BOTH = 1617;
const PRIMARY = 1;
/** Longest way of the mouse, in pixels of the screen, that is still a click. */
const STILL = 4;
/** Least distance of two points of a scribble, in millimetres. */
const APART = 1;

/** Label images of a segmentation by the slice of the result that they show. */
export type Layer = readonly (string | undefined)[];

/** What the user drew: one point, or several. */
export interface Stroke {
  points: Vector[];
  isRemoving: boolean;
  /** Whether the first point and the last are corners of a box. */
  isBox: boolean;
  /** Where it was drawn. */
  element: HTMLElement;
}

/** What a mouse tells: a box that grows, in pixels of its pane, and what was drawn in the end. */
export interface Pen {
  stretch(element: HTMLElement, from: readonly number[], to: readonly number[], isRemoving: boolean): void;
  draw(stroke: Stroke): void;
}

/** The voxels of a slice as the viewer holds them. */
export function sliceOf(host: Host, layer: Layer, k: number): Uint8Array | undefined {
  const id = layer[k];
  const image = id ? host.libraries().cornerstone.cache.getImage(id) : undefined;
  return image?.voxelManager.getScalarData() as Uint8Array | undefined;
}

/** Puts labels into some slices of a segmentation, in all panes. */
export function write(
  host: Host,
  segmentationId: string,
  layer: Layer,
  labels: Uint8Array,
  slices: readonly number[],
): void {
  for (const k of slices) {
    const target = sliceOf(host, layer, k);
    target?.set(labels.subarray(k * target.length, (k + 1) * target.length));
  }
  const { segmentation } = host.libraries().cornerstoneTools;
  segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(segmentationId);
}

/** Puts a step into the viewer's own history, so that its buttons and keys for undo take it back. */
export function remember(host: Host, memo: Memo): void {
  host.libraries().cornerstone.utilities.HistoryMemo?.DefaultHistoryMemo.push(memo);
}

/** What has the mouse, for as long as it has it. */
export class Mouse {
  private readonly replaced: { group: ToolGroup; tool: string | undefined }[] = [];

  constructor(
    private readonly host: Host,
    private readonly viewportIds: readonly string[],
    pen: Pen,
  ) {
    const { cornerstone, cornerstoneTools: tools } = host.libraries();
    const { MOUSE_DRAG, MOUSE_UP, MOUSE_CLICK } = tools.Enums.Events;
    if (!known.has(tools)) {
      known.add(tools);
      tools.addTool(
        class extends tools.BaseTool {
          static toolName = TOOL;
          constructor(properties: object = {}) {
            super(properties, { supportedInteractionTypes: ['Mouse', 'Touch'], configuration: {} });
          }
          preMouseDownCallback = (event: CustomEvent<MouseDetail>): boolean => {
            follow(event, [MOUSE_DRAG, MOUSE_UP, MOUSE_CLICK]);
            return true;
          };
        },
      );
    }
    current = pen;
    const groups = new Set<ToolGroup>();
    for (const engine of cornerstone.getRenderingEngines() ?? []) {
      for (const { id } of engine.getViewports().filter(({ id }) => this.viewportIds.includes(id))) {
        const group = tools.ToolGroupManager.getToolGroupForViewport(id, engine.id);
        if (group) groups.add(group);
      }
    }
    for (const group of groups) {
      const tool = group.getActivePrimaryMouseButtonTool() ?? undefined;
      if (tool && tool !== TOOL) group.setToolPassive(tool);
      if (!group.hasTool(TOOL)) group.addTool(TOOL);
      const keys = [CONTROL, SHIFT, BOTH].map(modifierKey => ({ mouseButton: PRIMARY, modifierKey }));
      const bindings = [{ mouseButton: PRIMARY }, ...keys];
      group.setToolActive(TOOL, { bindings });
      this.replaced.push({ group, tool: tool === TOOL ? undefined : tool });
    }
  }

  /** Whether it still has it: the user may have chosen another tool. */
  get hasIt(): boolean {
    return this.replaced.some(({ group }) => group.getActivePrimaryMouseButtonTool() === TOOL);
  }

  /** Gives it back, to what had it before unless the user has chosen something else. */
  release(): void {
    for (const { group, tool } of this.replaced) {
      const isOurs = group.getActivePrimaryMouseButtonTool() === TOOL;
      group.setToolDisabled(TOOL);
      if (isOurs && tool) group.setToolActive(tool, { bindings: [{ mouseButton: PRIMARY }] });
    }
    current = undefined;
  }

  /** The panes in which it draws. */
  viewports(): Viewport[] {
    const engines = this.host.libraries().cornerstone.getRenderingEngines() ?? [];
    return engines.flatMap(engine => engine.getViewports()).filter(({ id }) => this.viewportIds.includes(id));
  }
}

/** The viewer keeps a tool for ever, and there is one of ours; what it does changes. */
const known = new WeakSet<object>();
let current: Pen | undefined;

/** Follows the mouse from a press to its end. */
function follow(event: CustomEvent<MouseDetail>, names: [string, ...string[]]): void {
  const { element, currentPoints, event: press } = event.detail;
  const [drag, ...ends] = names;
  const points: Vector[] = [vector(currentPoints.world)];
  const isBox = press.shiftKey;
  const isRemoving = press.ctrlKey || press.metaKey;
  let farthest = 0;
  const move = (next: Event): void => {
    const { currentPoints: now } = (next as CustomEvent<MouseDetail>).detail;
    const [x = 0, y = 0] = now.canvas;
    const [x0 = 0, y0 = 0] = currentPoints.canvas;
    farthest = Math.max(farthest, Math.hypot(x - x0, y - y0));
    const here = vector(now.world);
    if (isBox) {
      points[1] = here;
      current?.stretch(element, currentPoints.canvas, now.canvas, isRemoving);
      return;
    }
    const last = points[points.length - 1];
    if (last && Math.hypot(...here.map((side, axis) => side - (last[axis] ?? 0))) >= APART) points.push(here);
  };
  const end = (): void => {
    element.removeEventListener(drag, move);
    for (const name of ends) element.removeEventListener(name, end);
    const isStill = farthest <= STILL || points.length < 2;
    const drawn = isStill ? points.slice(0, 1) : points;
    current?.draw({ points: drawn, isRemoving, isBox: isBox && !isStill, element });
  };
  element.addEventListener(drag, move);
  for (const name of ends) element.addEventListener(name, end);
}

const vector = (from: ArrayLike<number>): Vector => [Number(from[0]), Number(from[1]), Number(from[2])];
