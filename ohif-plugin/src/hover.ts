// Before a click: what it would do, asked of the sidecar while the pointer rests; and the box that is drawn.

import type { Prompt } from './api.ts';
import type { Correction } from './correction.ts';
import { dot, type Vector } from './geometry.ts';
import { Ghost } from './ghost.ts';
import type { Host, Viewport } from './host.ts';

export class Hover {
  private readonly ghost = new Ghost();
  private question: AbortController | undefined;

  constructor(
    private readonly host: Host,
    private readonly session: Correction,
    private readonly viewportIds: readonly string[],
  ) {}

  /** Nothing is shown, and no answer waited for. */
  clear(): void {
    this.question?.abort();
    this.question = undefined;
    this.ghost.clear();
  }

  /** Asks what a prompt at the pointer would do, and shows it in the pane. */
  async ask(event: PointerEvent, prompt: (at: Vector) => Prompt): Promise<void> {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const viewport = this.viewports().find(({ element }) => element.contains(under));
    if (!viewport?.canvasToWorld) return;
    const { x, y } = viewport.element.getBoundingClientRect();
    const world = viewport.canvasToWorld([event.clientX - x, event.clientY - y]);
    this.clear();
    const question = new AbortController();
    this.question = question;
    const asked = prompt([Number(world[0]), Number(world[1]), Number(world[2])]);
    // A place where nothing can change, or a newer question: nothing is to be shown.
    const found = await this.session.hover(asked, question.signal).catch(() => undefined);
    if (!found || question.signal.aborted) return;
    const { dims, ijkToWorld, structures } = this.session;
    const color = structures.find(({ value }) => value === found.label)?.color ?? [90, 204, 230];
    this.ghost.show(viewport, found.delta, dims, ijkToWorld, color, asked.sign === 'remove');
  }

  /** Shows the box that is being drawn. */
  box(element: HTMLElement, from: readonly number[], to: readonly number[], isRemoving: boolean): void {
    const viewport = this.viewportOf(element);
    if (viewport) this.ghost.box(viewport, from, to, isRemoving);
  }

  /** The corners of a box that was drawn in a pane: as deep, on both sides of the plane, as half its shorter side. */
  deepened(element: HTMLElement, from: Vector, to: Vector): [Vector, Vector] {
    const { viewPlaneNormal } = this.viewportOf(element)?.getCamera?.() ?? {};
    if (!viewPlaneNormal) return [from, to];
    const normal = [...viewPlaneNormal] as Vector;
    const sides = from.map((side, axis) => Math.abs(side - (to[axis] ?? side)));
    // The side along the axis nearest to the normal is none of the two that were drawn.
    const through = normal.map(Math.abs).indexOf(Math.max(...normal.map(Math.abs)));
    const depth = Math.min(...sides.filter((_, axis) => axis !== through)) / 2;
    const sign = dot(normal, to.map((side, axis) => side - (from[axis] ?? 0)) as Vector) < 0 ? -1 : 1;
    const moved = (at: Vector, by: number): Vector =>
      at.map((side, axis) => side + by * sign * (normal[axis] ?? 0)) as Vector;
    return [moved(from, -depth), moved(to, depth)];
  }

  private viewportOf(element: HTMLElement): Viewport | undefined {
    return this.viewports().find(viewport => viewport.element === element);
  }

  private viewports(): Viewport[] {
    const engines = this.host.libraries().cornerstone.getRenderingEngines() ?? [];
    return engines.flatMap(engine => engine.getViewports()).filter(({ id }) => this.viewportIds.includes(id));
  }
}
