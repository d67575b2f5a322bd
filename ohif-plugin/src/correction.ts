// A session in which a result is corrected, as the sidecar holds it (docs/correction.md): its labels here are those of its
// revision there. Nothing of the viewer is known here.

import type {
  Action,
  Corrected,
  CorrectedStructure,
  CorrectionEvent,
  CorrectionSession,
  Place,
} from './api.ts';
import { type Client, Refusal } from './client.ts';
import { apply, type Delta, decode, encode } from './delta.ts';
import type { Vector } from './geometry.ts';

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
    /** `[[k, j, i]]`, i fastest. */
    readonly labels: Uint8Array,
    public revision: number,
    readonly structures: CorrectedStructure[],
  ) {}

  /** Goes on with the newest session of a job, or begins one. */
  static async open(client: Client, job: string, seriesUid: string): Promise<Correction> {
    const known = await client.json<{ id: string; job?: string | null }[]>(
      `/v1/sessions?series=${encodeURIComponent(seriesUid)}`,
    );
    const before = known.find(session => session.job === job);
    const view = before
      ? await client.json<CorrectionSession>(`/v1/sessions/${before.id}`)
      : await client.json<CorrectionSession>('/v1/sessions', { method: 'POST', body: { job } });
    const labels = await client.bytes(`/v1/sessions/${view.id}/labels`);
    const dims = view.dims as Vector;
    if (labels.length !== dims[0] * dims[1] * dims[2])
      throw new Error('The session has other labels than it says.');
    const session = new Correction(client, view.id, dims, labels, view.revision, view.structures);
    session.take(view);
    return session;
  }

  /** Does something, and brings the labels to what came of it. */
  async operate(action: Action, foreign?: Delta): Promise<Done> {
    const seconds = Math.min((performance.now() - this.since) / 1000, 60);
    const operation = crypto.randomUUID();
    const body = {
      operation,
      base: this.revision,
      seconds,
      action,
      ...(foreign && { delta: encode(foreign) }),
    };
    const path = `/v1/sessions/${this.id}/operations`;
    const slices: number[] = [];
    const ask = () => this.client.json<Corrected>(path, { method: 'POST', body });
    const answer = await ask().catch(async error => {
      if (!(error instanceof Refusal && error.code === 'stale')) throw error;
      // Somebody else has changed what this one looks at: it is shown, and the user decides anew.
      slices.push(...(await this.catchUp()));
      throw new Stale(slices);
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
