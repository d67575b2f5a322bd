// A session in which a result is corrected, as the sidecar holds it (docs/correction.md): its labels here are those of its
// revision there. Nothing of the viewer is known here.

import type {
  Action,
  Corrected,
  CorrectedStructure,
  CorrectionEvent,
  CorrectionSession,
  Ghost,
  Place,
  Prompt,
  Proposed,
} from './api.ts';
import { type Client, Refusal } from './client.ts';
import { apply, type Delta, decode, encode, rebased } from './delta.ts';
import { indexOf, type Vector } from './geometry.ts';

/** Seconds that the sidecar is asked to wait for news. */
const WAIT = 20;

/** What an operation did: the slices that changed, and the structures as they are now. */
export interface Done {
  slices: number[];
  structures: CorrectedStructure[];
}

export class Correction {
  /** Answers that the newest prompt can have, and the one that is shown. */
  candidates: Corrected['candidates'] = [];
  chosen: number | undefined;
  /** The label that the newest prompt was about. */
  label: number | undefined;
  undo = 0;
  redo = 0;
  /** Since when the user has thought about the next operation, in milliseconds. */
  private since = performance.now();

  private constructor(
    private readonly client: Client,
    readonly id: string,
    readonly dims: Vector,
    /** Rows of the 4x4 matrix to LPS+ millimetres. */
    readonly ijkToWorld: number[],
    /** `[[k, j, i]]`, i fastest. */
    readonly labels: Uint8Array,
    public revision: number,
    public structures: CorrectedStructure[],
  ) {}

  /** Goes on with the newest session of a job, or begins one. */
  static async open(client: Client, job: string, seriesUid: string): Promise<Correction> {
    const known = await client.json<{ id: string; job?: string | null }[]>(
      `/v1/sessions?series=${encodeURIComponent(seriesUid)}`,
    );
    const before = known.find(session => session.job === job);
    return before ? Correction.resume(client, before.id) : Correction.begin(client, job);
  }

  /** Begins a session with the labels of a job. */
  static async begin(client: Client, job: string): Promise<Correction> {
    const view = await client.json<CorrectionSession>('/v1/sessions', { method: 'POST', body: { job } });
    return Correction.of(client, view);
  }

  /** Goes on with a session. */
  static async resume(
    client: Client,
    id: string,
    signal?: AbortSignal,
    report?: (fraction: number) => void,
  ): Promise<Correction> {
    const view = await client.json<CorrectionSession>(`/v1/sessions/${id}`, { signal });
    return Correction.of(client, view, signal, report);
  }

  private static async of(
    client: Client,
    view: CorrectionSession,
    signal?: AbortSignal,
    report?: (fraction: number) => void,
  ): Promise<Correction> {
    // Somebody else may work on it meanwhile.
    let revision = view.revision;
    const labels = await client.bytes(`/v1/sessions/${view.id}/labels`, signal, report, headers => {
      revision = Number(headers.get('x-vesalius-revision') ?? revision);
    });
    const dims = view.dims as Vector;
    if (labels.length !== dims[0] * dims[1] * dims[2])
      throw new Error('The session has other labels than it says.');
    const session = new Correction(
      client,
      view.id,
      dims,
      view.ijk_to_world,
      labels,
      revision,
      view.structures,
    );
    session.take(view);
    return session;
  }

  /** Does something, and brings the labels to what came of it. */
  async operate(action: Action, foreign?: Delta): Promise<Done> {
    const seconds = Math.min((performance.now() - this.since) / 1000, 60);
    const slices: number[] = [];
    const answer = await this.ask(action, seconds, foreign).catch(async error => {
      if (!(error instanceof Refusal && error.code === 'stale')) throw error;
      // Somebody else has changed what this one looks at. A drawn stroke still says what it says; of all else the user
      // decides anew.
      slices.push(...(await this.catchUp()));
      const anew = foreign && rebased(foreign, this.labels, this.dims);
      if (!anew) throw new Stale(slices);
      return this.ask(action, seconds, anew);
    });
    if (answer.event.revision > this.revision + 1)
      slices.push(...(await this.catchUp(answer.event.revision - 1)));
    slices.push(...this.follow(answer.event));
    this.take(answer);
    this.since = performance.now();
    for (const row of answer.structures) {
      const at = this.structures.findIndex(({ value }) => value === row.value);
      if (at < 0) this.structures.push(row);
      else this.structures[at] = row;
    }
    return { slices, structures: answer.structures };
  }

  private ask(action: Action, seconds: number, foreign?: Delta): Promise<Corrected> {
    const delta = foreign && { delta: encode(foreign) };
    const body = { operation: crypto.randomUUID(), base: this.revision, seconds, action, ...delta };
    return this.client.json<Corrected>(`/v1/sessions/${this.id}/operations`, { method: 'POST', body });
  }

  /** What a prompt would do at least. A newer question ends an older one. */
  async hover(prompt: Prompt, signal: AbortSignal): Promise<{ label: number; delta: Delta } | undefined> {
    const path = `/v1/sessions/${this.id}/hover`;
    const found = await this.client.json<Ghost>(path, { method: 'POST', body: { prompt }, signal });
    if (found.revision !== this.revision) return undefined;
    return { label: found.label, delta: decode(found.delta) };
  }

  /** Asks a network about the newest prompt. Its answer is one more candidate; `true` where it sees the prompt as meant. */
  async propose(network: string, signal: AbortSignal): Promise<boolean> {
    const body = { base: this.revision, network };
    const path = `/v1/sessions/${this.id}/propose`;
    const found = await this.client.json<Proposed>(path, { method: 'POST', body, signal });
    if (found.revision !== this.revision) return false;
    this.take({ ...found, undo: this.undo, redo: this.redo });
    return this.candidates.some(({ source }) => source === 'network');
  }

  /** Waits until somebody else has done something, or for a while. */
  async hasNews(signal: AbortSignal): Promise<boolean> {
    const path = `/v1/sessions/${this.id}/events?since=${this.revision}&wait=${WAIT}`;
    for await (const event of this.client.lines<CorrectionEvent>(path, signal)) {
      if (event.revision > this.revision) return true;
    }
    return false;
  }

  /** Whether somebody else has done something that is not known here. */
  async isBehind(): Promise<boolean> {
    const path = `/v1/sessions/${this.id}/events?since=${this.revision}`;
    for await (const _ of this.client.lines<CorrectionEvent>(path)) return true;
    return false;
  }

  /** The voxel at a position in millimetres; it may lie beyond the image. */
  indexAt(at: Vector): Vector {
    return indexOf(this.ijkToWorld, at).map(Math.round) as Vector;
  }

  /** Takes over what others did: the slices that changed. */
  async refresh(): Promise<number[]> {
    const slices = await this.catchUp();
    const view = await this.client.json<CorrectionSession>(`/v1/sessions/${this.id}`);
    this.structures = view.structures;
    this.take(view);
    return slices;
  }

  /** What others did meanwhile; the slices that changed. */
  private async catchUp(until = Number.POSITIVE_INFINITY): Promise<number[]> {
    const slices: number[] = [];
    const path = `/v1/sessions/${this.id}/events?since=${this.revision}`;
    for await (const event of this.client.lines<CorrectionEvent>(path)) {
      if (event.revision <= until) slices.push(...this.follow(event));
    }
    return slices;
  }

  private follow(event: CorrectionEvent): number[] {
    if (event.revision <= this.revision) return [];
    const slices = apply(decode(event.delta), this.labels, this.dims);
    this.revision = event.revision;
    return slices;
  }

  private take(state: Pick<Corrected, 'candidates' | 'chosen' | 'label' | 'undo' | 'redo'>): void {
    this.candidates = state.candidates;
    [this.undo, this.redo] = [state.undo, state.redo];
    this.chosen = state.chosen ?? undefined;
    this.label = state.label ?? undefined;
  }

  /** Places that deserve a look, the gravest first. */
  async suspicious(): Promise<Place[]> {
    return (await this.client.json<{ places: Place[] }>(`/v1/sessions/${this.id}/suspicious`)).places;
  }
}

/** Another viewer was first. */
export class Stale extends Error {
  constructor(readonly slices: number[]) {
    super('This place has changed meanwhile. Look again.');
  }
}
