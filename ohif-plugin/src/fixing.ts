// Correction of one result: clicks and the viewer's own brush on one side, the sidecar's session on the other, one thing
// after another. After each step the viewer shows the session's labels, voxel for voxel.

import type { Action, CorrectedStructure, Place, Prompt } from './api.ts';
import { type Client, Refusal } from './client.ts';
import { Correction, Stale } from './correction.ts';
import { between, type Delta, rebased } from './delta.ts';
import { Mouse, remember, type Stroke, sliceOf, write } from './edit.ts';
import type { Vector } from './geometry.ts';
import { Hearing } from './hearing.ts';
import type { Host } from './host.ts';
import { Hover } from './hover.ts';
import { rememberSession } from './remembered.ts';
import type { Result } from './run.ts';
import { jumpTo } from './segmentation.ts';

/** Radius of a scribble, in millimetres. */
const SCRIBBLE = 1.5;
/** How far a boundary may snap, in millimetres. */
const SNAP = 3;
/** How far the pointer may go from a click, in pixels, until the wheel turns slices again. */
const NEAR = 24;
/** Time until a sidecar that broke off is asked for news again, in milliseconds. */
const AGAIN = 3000;

/** What the panel hears. */
export interface Listener {
  /** The user asks for something: what was told before is old. */
  began(): void;
  changed(): void;
  failed(error: unknown): void;
}

export class Fixing {
  /** The structure that clicks are about; none: the one under the pointer, or the nearest. */
  target: number | undefined;
  isBusy = false;
  /** The place that was last gone to, and how many there are. */
  place: { number: number; of: number; label: number } | undefined;
  /** What the next click says instead of where a structure is missing: the piece that stays, or that goes. */
  pick: 'keep' | 'drop' | undefined;
  /** Whether a network thinks. */
  isAsking = false;
  private mouse: Mouse;
  private readonly hearing: Hearing;
  private readonly hover: Hover;
  private readonly over = new AbortController();
  private question: AbortController | undefined;
  private last: Promise<void> = Promise.resolve();
  private waiting = 0;
  private pointer: [number, number] = [0, 0];
  private clicked: [number, number] | undefined;
  private places: Place[] = [];
  private revisionOfPlaces = -1;

  private constructor(
    private readonly host: Host,
    readonly result: Result & { segmentationId: string },
    readonly session: Correction,
    private readonly listener: Listener,
  ) {
    this.hover = new Hover(host, session, this.viewportIds());
    this.mouse = this.take();
    this.hearing = new Hearing(host, result.segmentationId, {
      painted: () => void this.enqueue(() => this.takeIn()),
      tookBack: action => void this.enqueue(() => this.takeBack(action)),
      toolChanged: () => listener.changed(),
      moved: ({ clientX, clientY }) => {
        this.pointer = [clientX, clientY];
        this.hover.clear();
      },
      rested: event => void this.rest(event),
      wheel: event => this.wheel(event),
      key: event => this.key(event),
    });
  }

  /** Opens the session, and gives the mouse to it. What the user's brush did before is one edit more. */
  static async begin(
    host: Host,
    client: Client,
    result: Result & { segmentationId: string },
    listener: Listener,
  ): Promise<Fixing> {
    const shown = result.correction;
    const session = shown ?? (await opened(client, result));
    const strokes = shown ? undefined : await strokesOn(host, client, result, session);
    Object.assign(result, { session: session.id, correction: session });
    await rememberSession(session.id, result.seriesUid, result.title).catch(() => undefined);
    const fixing = new Fixing(host, result, session, listener);
    await fixing.enqueue(async () => {
      if (!shown && session.revision > 0) fixing.showAll();
      if (strokes) await fixing.send(strokes);
      else if (shown) await fixing.takeIn();
      fixing.put(await session.refresh());
      fixing.update(session.structures);
    });
    void fixing.watch();
    return fixing;
  }

  private viewportIds(): string[] {
    const { segmentationService } = this.host.services;
    return segmentationService.getViewportIdsWithSegmentation(this.result.segmentationId);
  }

  private take(): Mouse {
    return new Mouse(this.host, this.viewportIds(), {
      stretch: (element, from, to, isRemoving) => this.hover.box(element, from, to, isRemoving),
      draw: stroke => void this.draw(stroke),
    });
  }

  /** Whether clicks are corrections now; else the user has chosen another tool. */
  get hasMouse(): boolean {
    return this.mouse.hasIt;
  }

  /** The structure that buttons and keys are about. */
  get about(): number | undefined {
    return this.target ?? this.session.label;
  }

  /** Makes clicks corrections again. */
  resume(): void {
    this.mouse.release();
    this.mouse = this.take();
    this.listener.changed();
  }

  /** Gives mouse and keys back. The session stays. */
  end(): void {
    this.over.abort();
    this.question?.abort();
    this.hearing.end();
    this.hover.clear();
    this.mouse.release();
  }

  /** Answers a click, a scribble or a box. */
  private async draw({ points, isRemoving, isBox, element }: Stroke): Promise<void> {
    const [point] = points;
    if (!point) return;
    this.hover.clear();
    this.question?.abort();
    if (this.pick) return this.choosePiece(point);
    this.clicked = [...this.pointer];
    const shape = isBox
      ? { box: { corners: this.hover.deepened(element, point, points[points.length - 1] ?? point) } }
      : points.length > 1
        ? { scribble: { points, radius_mm: SCRIBBLE } }
        : { point };
    const sign = isRemoving ? 'remove' : 'add';
    await this.operate({ prompt: { shape, sign, label: this.target ?? null } } as Action);
  }

  /** Does something, as a step of the viewer's own history where it changes voxels. */
  async operate(action: Action): Promise<void> {
    const isStep = typeof action === 'object' && ('prompt' in action || 'tool' in action);
    this.listener.began();
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

  /** Moves the boundary of the structure to edges of the image. */
  snap(): void {
    if (this.about) void this.operate({ tool: { snap: { label: this.about, within_mm: SNAP } } } as Action);
  }

  /** Fills slices between those where the structure was drawn. */
  fill(): void {
    if (this.about) void this.operate({ tool: { fill: { label: this.about } } } as Action);
  }

  /** Waits for a click on a piece, or does not any more. */
  choosePieceTo(pick: 'keep' | 'drop'): void {
    this.pick = this.pick === pick ? undefined : pick;
    if (this.pick && !this.hasMouse) this.resume();
    this.listener.changed();
  }

  private async choosePiece(at: Vector): Promise<void> {
    const { pick } = this;
    this.pick = undefined;
    const label = this.target ?? this.labelAt(at);
    if (!label) return this.listener.failed(new Error('There is no structure here. Click a piece of one.'));
    await this.operate(
      (pick === 'drop' ? { tool: { drop: { label, at } } } : { tool: { keep: { label, at } } }) as Action,
    );
  }

  /** Asks a network about the newest click; what it sees becomes the last stop of the wheel, and is shown. */
  async ask(network: string): Promise<void> {
    const question = new AbortController();
    [this.question, this.isAsking] = [question, true];
    this.listener.began();
    try {
      const sees = await this.session.propose(network, question.signal);
      if (!sees) throw new Error('The network does not agree with the click: nothing has changed.');
      await this.operate({ choose: this.session.candidates.length - 1 } as Action);
    } catch (error) {
      const wasEnded = error instanceof Refusal && error.code === 'cancelled';
      if (!question.signal.aborted && !wasEnded) this.listener.failed(error);
    }
    this.isAsking = false;
    this.listener.changed();
  }

  /** Takes in what the viewer's own tools changed. */
  private async takeIn(): Promise<void> {
    const foreign = this.difference();
    if (foreign) await this.send(foreign);
  }

  private async send(foreign: Delta): Promise<void> {
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

  /** Follows what others do in the same session. */
  private async watch(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      const isNew = await this.session.hasNews(signal).catch(async () => {
        await new Promise(resolve => setTimeout(resolve, AGAIN));
        return false;
      });
      if (!isNew || signal.aborted) continue;
      await this.enqueue(async () => {
        // Own steps are news too, and known by now.
        if (!(await this.session.isBehind())) return;
        await this.takeIn();
        this.put(await this.session.refresh());
        this.update(this.session.structures);
      });
    }
  }

  private difference(): Delta | undefined {
    const { labels, dims } = this.session;
    return between(labels, k => sliceOf(this.host, this.result.layer, k), dims);
  }

  private labelAt(at: Vector): number {
    const { labels, dims } = this.session;
    const [i, j, k] = this.session.indexAt(at);
    const isInside = [i, j, k].every((n, axis) => n >= 0 && n < (dims[axis] ?? 0));
    return isInside ? (labels[(k * dims[1] + j) * dims[0] + i] ?? 0) : 0;
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
      if (place) jumpTo(this.host, this.result.segmentationId, place.label, place.position as Vector);
    });
  }

  private showAll(): void {
    this.put(Array.from({ length: this.session.dims[2] }, (_, k) => k));
  }

  /** Shows the session's labels in some slices. */
  private put(slices: readonly number[]): void {
    if (!slices.length) return;
    this.hover.clear();
    const { segmentationId, layer } = this.result;
    this.hearing.unheard(() => write(this.host, segmentationId, layer, this.session.labels, slices));
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
        if (!this.over.signal.aborted) this.listener.failed(error);
      })
      .then(() => {
        this.waiting -= 1;
        this.isBusy = this.waiting > 0;
        this.listener.changed();
      });
    return this.last;
  }

  /** Shows what a click here would do. */
  private async rest(event: PointerEvent): Promise<void> {
    if (!this.hasMouse || this.isBusy || this.pick || event.shiftKey) return;
    const sign = event.ctrlKey || event.metaKey ? 'remove' : 'add';
    await this.hover.ask(event, (point): Prompt => ({ shape: { point }, sign, label: this.target ?? null }));
  }

  /** Near the last click the wheel walks its answers. */
  private wheel(event: WheelEvent): boolean {
    this.hover.clear();
    const [x, y] = this.clicked ?? [Number.NaN, Number.NaN];
    const isNear = Math.hypot(event.clientX - x, event.clientY - y) <= NEAR;
    if (!isNear || !this.hasMouse || this.session.candidates.length < 2) return false;
    if (!this.isBusy) void this.step(event.deltaY < 0 ? 1 : -1);
    return true;
  }

  private key(event: KeyboardEvent): (() => void) | undefined {
    const { about: label } = this;
    const locked = this.session.structures.find(({ value }) => value === label)?.locked ?? false;
    const isWalking = this.session.candidates.length > 1;
    const does: Record<string, (() => void) | undefined> = {
      n: () => void this.next(event.shiftKey ? -1 : 1),
      tab: isWalking ? () => void this.step(event.shiftKey ? -1 : 1) : undefined,
      a: label === undefined ? undefined : () => void this.operate({ accept: label } as Action),
      k: label === undefined ? undefined : () => void this.operate({ lock: [label, !locked] } as Action),
      o: () => this.choosePieceTo('keep'),
      d: () => this.choosePieceTo('drop'),
      escape: this.pick || this.isAsking ? () => this.giveUp() : undefined,
    };
    return does[event.key.toLowerCase()];
  }

  /** Ends what waits: for a click, or for a network. */
  giveUp(): void {
    this.pick = undefined;
    this.question?.abort();
    this.listener.changed();
  }
}

/** The session of a result that was shown as the job gave it. */
function opened(client: Client, { job, session, seriesUid }: Result): Promise<Correction> {
  return session ? Correction.resume(client, session) : Correction.open(client, job ?? '', seriesUid);
}

/** What the user's brush has done since a job was shown, on the labels of its session. */
async function strokesOn(
  host: Host,
  client: Client,
  result: Result,
  session: Correction,
): Promise<Delta | undefined> {
  // Others may have corrected it since.
  const before = session.revision > 0 ? await client.bytes(`/v1/jobs/${result.job}/labels`) : session.labels;
  const strokes = between(before, k => sliceOf(host, result.layer, k), session.dims);
  return strokes && rebased(strokes, session.labels, session.dims);
}
