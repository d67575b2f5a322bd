// Correction of one result: clicks and the viewer's own brush on one side, the sidecar's session on the other, one thing
// after another. After each step the viewer shows the session's labels, voxel for voxel.

import type { Action, CorrectedStructure, Place } from './api.ts';
import type { Client } from './client.ts';
import { Correction, Stale } from './correction.ts';
import { between } from './delta.ts';
import { Mouse, remember, type Stroke, sliceOf, write } from './edit.ts';
import type { Host } from './host.ts';
import type { Result } from './run.ts';
import { jumpTo } from './segmentation.ts';

/** Time after the last change of a voxel until a stroke of the viewer's own tools counts as ended, in milliseconds. */
const SETTLED = 150;
/** Radius of a scribble, in millimetres. */
const SCRIBBLE = 1.5;
/** How far the pointer may go from a click, in pixels, until the wheel turns slices again. */
const NEAR = 24;

/** What the panel hears. */
export interface Listener {
  changed(): void;
  failed(error: unknown): void;
}

export class Fixing {
  /** The structure that clicks are about; none: the one under the pointer, or the nearest. */
  target: number | undefined;
  isBusy = false;
  /** The place that was last gone to, and how many there are. */
  place: { number: number; of: number; label: number } | undefined;
  private mouse: Mouse;
  private readonly ends: (() => void)[] = [];
  private last: Promise<void> = Promise.resolve();
  private waiting = 0;
  private isWriting = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isPressed = false;
  private pointer: [number, number] = [0, 0];
  private clicked: [number, number] | undefined;
  private places: Place[] = [];

  private constructor(
    private readonly host: Host,
    readonly result: Result & { segmentationId: string },
    readonly session: Correction,
    private readonly listener: Listener,
  ) {
    this.mouse = this.take();
    this.listen();
  }

  /** Opens the session, and gives the mouse to it. */
  static async begin(
    host: Host,
    client: Client,
    result: Result & { segmentationId: string },
    listener: Listener,
  ): Promise<Fixing> {
    const isResumed = result.session !== undefined;
    const session = await Correction.open(client, result.job, result.seriesUid);
    result.session = session.id;
    const fixing = new Fixing(host, result, session, listener);
    fixing.update(session.structures);
    // A session of before goes on where it was; what the user's brush did before there was one is kept.
    if (!isResumed && session.revision > 0) fixing.showAll();
    else await fixing.enqueue(() => fixing.takeIn());
    return fixing;
  }

  private take(): Mouse {
    const ids = this.host.services.segmentationService.getViewportIdsWithSegmentation(
      this.result.segmentationId,
    );
    return new Mouse(this.host, ids, stroke => void this.draw(stroke));
  }

  /** Whether clicks are corrections now; else the user has chosen another tool. */
  get hasMouse(): boolean {
    return this.mouse.hasIt;
  }

  /** Makes clicks corrections again. */
  resume(): void {
    this.mouse.release();
    this.mouse = this.take();
    this.listener.changed();
  }

  /** Gives mouse and keys back. The session stays. */
  end(): void {
    clearTimeout(this.timer);
    for (const end of this.ends) end();
    this.mouse.release();
  }

  /** Answers a click or a scribble. */
  private async draw({ points, isRemoving }: Stroke): Promise<void> {
    const [point] = points;
    if (!point) return;
    this.clicked = [...this.pointer];
    const shape = points.length > 1 ? { scribble: { points, radius_mm: SCRIBBLE } } : { point };
    const sign = isRemoving ? 'remove' : 'add';
    await this.operate({ prompt: { shape, sign, label: this.target ?? null } } as Action);
  }

  /** Does something, as a step of the viewer's own history where it changes voxels. */
  async operate(action: Action, isStep = typeof action === 'object' && 'prompt' in action): Promise<void> {
    await this.enqueue(async () => {
      const done = await this.session.operate(action);
      this.put(done.slices);
      this.update(done.structures);
      if (isStep) {
        remember(this.host, {
          restoreMemo: isUndo => void this.operate(isUndo ? 'undo' : 'redo'),
        });
      }
    });
  }

  /** Another stop of the wheel. */
  async step(by: number): Promise<void> {
    const { candidates, chosen = 0 } = this.session;
    const next = Math.min(Math.max(chosen + by, 0), candidates.length - 1);
    if (candidates.length > 1 && next !== chosen) await this.operate({ choose: next } as Action);
  }

  /** Takes in what the viewer's own tools changed. */
  private async takeIn(): Promise<void> {
    const foreign = this.difference();
    if (!foreign) return;
    const done = await this.session.operate('foreign', foreign).catch(error => {
      // What is locked, say, is as it was.
      this.put(Array.from({ length: foreign.size[2] }, (_, n) => foreign.start[2] + n));
      throw error;
    });
    this.put(done.slices);
    this.update(done.structures);
  }

  /** What the viewer's own history took back or made again: the session does the same. */
  private async takeBack(action: 'undo' | 'redo'): Promise<void> {
    if (!this.difference()) return;
    const done = await this.session.operate(action);
    this.update(done.structures);
    // Voxels are equal now, unless that step was another one: then it is an edit like any other.
    await this.takeIn();
  }

  private difference() {
    const { labels, dims } = this.session;
    return between(labels, k => sliceOf(this.host, this.result.layer, k), dims);
  }

  /** Goes to a place that deserves a look. */
  async next(by = 1): Promise<void> {
    await this.enqueue(async () => {
      const at = this.place ? this.place.number - 1 : -1;
      if (at < 0 || this.revisionOfPlaces !== this.session.revision) {
        this.places = await this.session.suspicious();
        this.revisionOfPlaces = this.session.revision;
      }
      const of = this.places.length;
      const number = of ? (((at + by) % of) + of) % of : -1;
      const place = this.places[number];
      this.place = place && { number: number + 1, of, label: place.label };
      if (place)
        jumpTo(
          this.host,
          this.result.segmentationId,
          place.label,
          place.position as [number, number, number],
        );
    });
  }

  private revisionOfPlaces = -1;

  private showAll(): void {
    this.put(this.session.dims[2] ? Array.from({ length: this.session.dims[2] }, (_, k) => k) : []);
  }

  /** Shows the session's labels in some slices. */
  private put(slices: readonly number[]): void {
    if (!slices.length) return;
    this.isWriting = true;
    write(this.host, this.result.segmentationId, this.result.layer, this.session.labels, slices);
    this.isWriting = false;
  }

  /** Takes over what is known of structures. */
  private update(rows: readonly CorrectedStructure[]): void {
    for (const { value, voxels, volume_ml, status, locked } of rows) {
      const structure = this.result.structures.find(other => other.value === value);
      if (structure) Object.assign(structure, { voxels, volume_ml, status, isLocked: locked });
    }
  }

  /** One thing after another. */
  private enqueue(work: () => Promise<void>): Promise<void> {
    this.waiting += 1;
    this.isBusy = true;
    this.listener.changed();
    this.last = this.last
      .then(work)
      .catch(error => {
        if (error instanceof Stale) this.put(error.slices);
        this.listener.failed(error);
      })
      .then(() => {
        this.waiting -= 1;
        this.isBusy = this.waiting > 0;
        this.listener.changed();
      });
    return this.last;
  }

  private listen(): void {
    const { cornerstone, cornerstoneTools: tools } = this.host.libraries();
    const { segmentationId } = this.result;
    const { SEGMENTATION_DATA_MODIFIED, HISTORY_UNDO, HISTORY_REDO, TOOL_ACTIVATED } = tools.Enums.Events;
    const on = (
      target: EventTarget,
      name: string | undefined,
      hear: (event: Event) => void,
      capture = false,
    ): void => {
      if (!name) return;
      target.addEventListener(name, hear, { capture, passive: false });
      this.ends.push(() => target.removeEventListener(name, hear, { capture }));
    };
    on(cornerstone.eventTarget, SEGMENTATION_DATA_MODIFIED, event => {
      const changed = (event as CustomEvent<{ segmentationId: string }>).detail.segmentationId;
      if (changed !== segmentationId || this.isWriting) return;
      this.settle();
    });
    on(document, 'pointerdown', () => this.press(true), true);
    on(document, 'pointerup', () => this.press(false), true);
    on(document, 'pointercancel', () => this.press(false), true);
    // The viewer's history has put voxels back by itself when it says so.
    for (const [name, action] of [
      [HISTORY_UNDO ?? 'CORNERSTONE_TOOLS_HISTORY_UNDO', 'undo'],
      [HISTORY_REDO ?? 'CORNERSTONE_TOOLS_HISTORY_REDO', 'redo'],
    ] as const) {
      on(cornerstone.eventTarget, name, event => {
        const { id } = (event as CustomEvent<{ id?: string }>).detail;
        if (id !== segmentationId) return;
        clearTimeout(this.timer);
        void this.enqueue(() => this.takeBack(action));
      });
    }
    on(cornerstone.eventTarget, TOOL_ACTIVATED, () => this.listener.changed());
    on(document, 'pointermove', event => {
      this.pointer = [(event as PointerEvent).clientX, (event as PointerEvent).clientY];
    });
    on(document, 'wheel', event => this.wheel(event as WheelEvent), true);
    on(document, 'keydown', event => this.key(event as KeyboardEvent), true);
  }

  private press(isPressed: boolean): void {
    this.isPressed = isPressed;
  }

  /** Takes in a stroke of the viewer's own tools once it has ended. */
  private settle(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.isPressed) this.settle();
      else void this.enqueue(() => this.takeIn());
    }, SETTLED);
  }

  /** Near the last click the wheel walks its answers. */
  private wheel(event: WheelEvent): void {
    const [x, y] = this.clicked ?? [Number.NaN, Number.NaN];
    const isNear = Math.hypot(event.clientX - x, event.clientY - y) <= NEAR;
    if (!isNear || !this.hasMouse || this.session.candidates.length < 2) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!this.isBusy) void this.step(event.deltaY < 0 ? 1 : -1);
  }

  private key(event: KeyboardEvent): void {
    const at = event.composedPath()[0] as Element | undefined;
    const isTyping = at?.matches?.('input, textarea, select');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    // Whoever goes through buttons by keys goes on.
    if (event.key === 'Tab' && (this.session.candidates.length < 2 || at?.matches?.('button, a'))) return;
    const label = this.target ?? this.session.label;
    const locked = this.session.structures.find(({ value }) => value === label)?.locked ?? false;
    const does: Record<string, (() => void) | undefined> = {
      n: () => void this.next(event.shiftKey ? -1 : 1),
      tab: () => void this.step(event.shiftKey ? -1 : 1),
      a: label === undefined ? undefined : () => void this.operate({ accept: label } as Action),
      k: label === undefined ? undefined : () => void this.operate({ lock: [label, !locked] } as Action),
    };
    const act = does[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }
}
