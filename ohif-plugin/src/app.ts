// What the panel shows and what its buttons do: all state of this extension, in one place.

import type { Task, Volume } from './api.ts';
import { download, type FileFormat, saveToArchive } from './archive.ts';
import { Channels } from './channels.ts';
import { Refusal, Unreachable } from './client.ts';
import type { Configuration } from './configuration.ts';
import { asSentence, Connection } from './connection.ts';
import { Correction } from './correction.ts';
import { sliceOf } from './edit.ts';
import { Fixing } from './fixing.ts';
import { GeometryError, mapped } from './geometry.ts';
import type { Host } from './host.ts';
import { placeOf } from './labels.ts';
import { beginSession, type Offer, offersOf } from './offers.ts';
import { Points } from './points.ts';
import { type Context, present, type Result, type Structure, segment, type Wish } from './run.ts';
import { isShown, jumpTo, remove, setVisible } from './segmentation.ts';
import type { Group } from './send.ts';
import { SentSeries } from './sent.ts';
import { activeSeries, type Series, timePointsOf } from './series.ts';
import type { Model, Notice, Run } from './state.ts';
import { Surfaces } from './surfaces.ts';

/** Time until a result is kept, in milliseconds. */
const KEEP_AFTER = 45 * 60 * 1000;

/** Time between two words on how far a run is, in milliseconds. */
const REPORT_EVERY = 400;

export class App {
  readonly connection: Connection;
  /** Images of tasks that take several. */
  readonly channels: Channels;
  tasks: Task[] = [];
  /** Networks that corrections can ask, with their licences. */
  networks: { id: string; licence: string }[] = [];
  series: Series | undefined;
  taskId: string | undefined;
  speed = 'default';
  /** Names of the structures that are wanted, for each task; none: all. */
  readonly only = new Map<string, Set<string>>();
  readonly points = new Points();
  timePoint: number | undefined;
  run: Run | undefined;
  notice: Notice | undefined;
  results: Result[] = [];
  offers: Offer[] = [];
  /** The result that is being corrected. */
  fixing: Fixing | undefined;
  private readonly sent = new SentSeries();
  private readonly listeners = new Set<() => void>();
  private stop = new AbortController();
  private job: string | undefined;
  /** What offers belong to. */
  private offeredFor: string | undefined;
  /** Whether a study is open. */
  private isOpen = false;
  /** When the panel last told how far a run is, in milliseconds. */
  private reportedAt = 0;

  constructor(
    readonly host: Host,
    readonly configuration: Configuration,
    /** Brings the panel to the front. */
    private readonly reveal: () => void,
  ) {
    this.channels = new Channels(host);
    this.connection = new Connection(configuration, () => this.changed());
  }

  /** Calls back after each change. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** A mode was entered. */
  enter(): void {
    this.isOpen = true;
    this.look();
  }

  /** A mode was left: OHIF has dropped all segmentations. A job goes on, and its result is offered later. */
  leave(): void {
    this.isOpen = false;
    this.stopFixing();
    [this.series, this.offeredFor, this.offers, this.notice] = [undefined, undefined, [], undefined];
    for (const result of this.results) {
      result.surfaces?.end();
      Object.assign(result, { segmentationId: undefined, surfaces: undefined });
    }
    this.changed();
  }

  /** Looks which series is in the active pane. */
  look(): void {
    if (!this.isOpen) return;
    const series = activeSeries(this.host);
    const isSame =
      series?.displaySet === this.series?.displaySet && series?.viewportId === this.series?.viewportId;
    if (!isSame) {
      if (series?.displaySet !== this.series?.displaySet) this.timePoint = undefined;
      this.series = series;
      if (!this.fittingTasks().some(task => task.id === this.taskId)) this.taskId = this.usualTask()?.id;
    }
    void this.lookForOffers();
    this.changed();
  }

  /** Finds the sidecar, and what it can do. */
  async connect(): Promise<void> {
    await this.connection.connect();
    if (this.connection.status.state !== 'ready') return;
    await this.guarded(async () => {
      this.tasks = await this.connection.client.json<Task[]>('/v1/tasks');
      if (!this.task) this.taskId = this.usualTask()?.id;
      const models = await this.connection.client.json<Model[]>('/v1/models').catch(() => []);
      this.networks = models.filter(({ promptable }) => promptable);
    });
    this.look();
  }

  async pair(code: string): Promise<void> {
    this.notice = undefined;
    const problem = await this.connection.pair(code);
    if (problem) this.tell('error', problem);
    else if (this.connection.status.state === 'ready') await this.connect();
  }

  get task(): Task | undefined {
    return this.tasks.find(({ id }) => id === this.taskId);
  }

  /** Tasks for the modality of the series. */
  fittingTasks(): Task[] {
    const modality = this.series?.modality;
    return this.tasks.filter(task => !modality || task.modality === modality);
  }

  /** The first that is installed, else the first. */
  private usualTask(): Task | undefined {
    const tasks = this.fittingTasks();
    return tasks.find(({ speeds }) => speeds.some(({ installed }) => installed)) ?? tasks[0];
  }

  choose(taskId: string): void {
    this.taskId = taskId;
    const speeds = this.task?.speeds ?? [];
    const isPossible = speeds.some(({ speed, installed }) => speed === this.speed && installed);
    if (!isPossible)
      this.speed = (speeds.find(({ installed }) => installed) ?? speeds[0])?.speed ?? 'default';
    this.changed();
  }

  /** Labels of the times or b-values of the series, where it has several. */
  timePoints(): string[] {
    return this.series ? timePointsOf(this.host, this.series.displaySet) : [];
  }

  /** Segments the series of the active pane. */
  async start(): Promise<void> {
    const { series, task } = this;
    if (!series || !task || this.run) return;
    const points = this.timePoints();
    const usual = points.length ? (this.timePoint ?? points.length - 1) : undefined;
    const images = this.channels.of(task, series);
    // The result lies on the images of the pane.
    const here = images.find(({ choice }) => choice?.series.displaySet === series.displaySet);
    if (this.channels.missing(task, series)) return;
    const wish: Wish = {
      task,
      speed: this.speed,
      point: this.points.of(task),
      structures: [...(this.only.get(task.id) ?? [])],
      timePoint: here?.choice ? here.choice.timePoint : usual,
      others: images.flatMap(({ name, choice }) =>
        choice && name !== here?.name ? [{ name, ...choice }] : [],
      ),
    };
    this.stop = new AbortController();
    this.notice = undefined;
    this.begin(series, task.title, 'Starting');
    await this.guarded(() => this.segment(series, wish));
    [this.run, this.job] = [undefined, undefined];
    this.changed();
  }

  private begin({ seriesUid }: Series, title: string, stage: string): void {
    this.run = { seriesUid, title, stage, fraction: undefined, secondsLeft: undefined };
    this.changed();
  }

  private async segment(series: Series, wish: Wish): Promise<void> {
    const context = this.context();
    const { sent, group, job } = await segment(context, series, wish, {
      known: ({ seriesUid }, timePoint) => this.sent.get(seriesUid, timePoint),
      sent: ({ seriesUid }, timePoint, sent) => this.sent.remember(seriesUid, timePoint, sent),
      created: id => {
        this.job = id;
      },
    });
    const title = titleOf(wish.task.title, group);
    if (!this.isStillOpen(series)) {
      this.offeredFor = undefined;
      return;
    }
    const { isFromDicom } = sent;
    const result = await present(context, series, { job, title, group, isFromDicom, correction: undefined });
    result.warnings.push(...sent.warnings);
    this.add(result);
  }

  private add(result: Result): void {
    this.results.unshift(result);
    const frame = this.series?.displaySet.FrameOfReferenceUID ?? '';
    if (this.isInViewer(result)) result.surfaces = new Surfaces(this.host, result, frame);
    setTimeout(() => void this.keep(result), KEEP_AFTER);
    // Some modes bring a panel of their own to the front when there is a segmentation.
    this.reveal();
  }

  /** The sidecar forgets jobs after an hour: what is still looked at then can be corrected and saved all the same. */
  private async keep(result: Result): Promise<void> {
    const { job, session } = result;
    if (session || !job || !this.isInViewer(result)) return;
    const { client } = this.connection;
    const began = await beginSession(client, job, result.seriesUid, result.title).catch(() => undefined);
    if (!result.session) result.session = began;
  }

  /** Whether the study of a series has not been left meanwhile. */
  private isStillOpen({ displaySet }: Series): boolean {
    const { displaySetService } = this.host.services;
    return (
      this.isOpen && displaySetService.getDisplaySetByUID(displaySet.displaySetInstanceUID) !== undefined
    );
  }

  private context(): Context {
    return {
      host: this.host,
      client: this.connection.client,
      transport: this.configuration.transport,
      archives: this.connection.status.info?.dicomweb ?? [],
      signal: this.stop.signal,
      report: (stage, fraction, secondsLeft) => {
        if (!this.run) return;
        const isSame = kindOf(stage) === kindOf(this.run.stage);
        // For whoever measures, in the browser's own tools.
        if (!isSame) performance.mark(`vesalius: ${stage}`);
        Object.assign(this.run, { stage, fraction, secondsLeft });
        // Each is a frame of the whole window, which is slow where there is no graphics card.
        if (isSame && performance.now() - this.reportedAt < REPORT_EVERY) return;
        this.reportedAt = performance.now();
        this.changed();
      },
    };
  }

  /** Stops the run, here and in the sidecar. */
  cancel(): void {
    const { job } = this;
    this.stop.abort();
    if (job) {
      this.connection.client.json(`/v1/jobs/${job}`, { method: 'DELETE' }).catch(() => undefined);
    }
  }

  /** Results of the series in the active pane, newest first. */
  shownResults(): Result[] {
    return this.results.filter(({ seriesUid }) => seriesUid === this.series?.seriesUid);
  }

  /** Shows or hides structures of a result. */
  setVisible(result: Result, structures: readonly Structure[], isVisible: boolean): void {
    for (const structure of structures) structure.isVisible = isVisible;
    const values = structures.map(({ value }) => value);
    if (this.isInViewer(result)) setVisible(this.host, result.segmentationId, values, isVisible);
    this.changed();
  }

  jump(result: Result, structure: Structure): void {
    if (!this.isInViewer(result)) return;
    const { layer, grid, segmentationId } = result;
    const at = placeOf(structure.value, k => sliceOf(this.host, layer, k), grid.dims);
    if (at) jumpTo(this.host, segmentationId, structure.value, mapped(grid.ijkToWorld, at));
  }

  /** Whether OHIF still has the segmentation of a result: its own panel can remove it. */
  isInViewer(result: Result): result is Result & { segmentationId: string } {
    return result.segmentationId !== undefined && isShown(this.host, result.segmentationId);
  }

  /** Begins to correct a result, or goes on; ends it where it is under way. */
  async fix(result: Result): Promise<void> {
    const before = this.fixing;
    if (before?.result === result && before.hasMouse) return this.stopFixing();
    if (before?.result === result) return before.resume();
    this.stopFixing();
    if (!this.isInViewer(result)) return;
    await this.guarded(async () => {
      this.fixing = await Fixing.begin(this.host, this.connection.client, result, {
        began: () => {
          this.notice = undefined;
          this.changed();
        },
        changed: () => this.changed(),
        failed: error => void this.fail(error),
      });
    });
    this.changed();
  }

  private stopFixing(): void {
    this.fixing?.end();
    this.fixing = undefined;
    this.changed();
  }

  /** Takes a result out of the viewer. The sidecar still has it, and it is offered again. */
  hide(result: Result): void {
    if (this.fixing?.result === result) this.stopFixing();
    if (this.isInViewer(result)) remove(this.host, result.segmentationId);
    result.surfaces?.end();
    this.results = this.results.filter(other => other !== result);
    this.offeredFor = undefined;
    void this.lookForOffers();
    this.changed();
  }

  /** Stores a result in the viewer's archive. */
  async save(result: Result): Promise<void> {
    await this.guarded(() => saveToArchive(this.host, this.connection.client, result, () => this.changed()));
  }

  /** Gives a result as a file. */
  async download(result: Result, format: FileFormat): Promise<void> {
    await this.guarded(() => download(this.connection.client, result, format));
  }

  /** Shows a result of before. */
  async show(offer: Offer): Promise<void> {
    const { series } = this;
    if (!series || this.run) return;
    this.stop = new AbortController();
    this.notice = undefined;
    this.begin(series, offer.title, 'Fetching the result');
    await this.guarded(async () => {
      const context = this.context();
      const view = await this.groupsOf(context, offer, series);
      const group = view.groups.find(({ id }) => id === offer.group) ?? view.groups[0];
      const correction = offer.session ? await this.resumed(context, offer.session) : undefined;
      const title = group ? titleOf(offer.title, group) : offer.title;
      const { isFromDicom } = view;
      const result = await present(context, series, {
        job: offer.job,
        title,
        group,
        isFromDicom,
        correction,
      });
      this.add(result);
    });
    this.run = undefined;
    this.offeredFor = undefined;
    void this.lookForOffers();
    this.changed();
  }

  private async groupsOf(
    { client, signal }: Context,
    offer: Offer,
    series: Series,
  ): Promise<{ groups: Group[]; isFromDicom: boolean }> {
    const sent = this.sent.find(series.seriesUid, offer.volume);
    if (sent) return sent;
    const view = await client.json<Volume>(`/v1/volumes/${offer.volume}`, { signal }).catch(error => {
      // A session outlives its images.
      if (error instanceof Refusal && offer.session) return undefined;
      throw error;
    });
    return { groups: view?.groups ?? [], isFromDicom: true };
  }

  /** Labels as they were corrected. */
  private resumed({ client, signal, report }: Context, session: string): Promise<Correction> {
    return Correction.resume(client, session, signal, fraction => report('Fetching the result', fraction));
  }

  /** Asks the sidecar for finished jobs of the series in the pane. */
  private async lookForOffers(): Promise<void> {
    const uid = this.series?.seriesUid;
    if (this.connection.status.state !== 'ready' || !uid || this.offeredFor === uid) return;
    this.offeredFor = uid;
    const offers = await offersOf(this.connection.client, uid, this.tasks);
    if (this.series?.seriesUid !== uid) return;
    const shown = this.results.filter(result => this.isInViewer(result));
    this.offers = offers.filter(
      ({ job, session }) =>
        !shown.some(result => (job && result.job === job) || (session && result.session === session)),
    );
    this.changed();
  }

  private tell(kind: Notice['kind'], text: string, hint = ''): void {
    this.notice = { kind, text: asSentence(text), hint: asSentence(hint) };
    this.changed();
  }

  /** Does something, and puts into words what went wrong. */
  private async guarded(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      await this.fail(error);
      return false;
    }
  }

  private async fail(error: unknown): Promise<void> {
    if (this.stop.signal.aborted) return this.tell('info', 'Cancelled');
    if (error instanceof Unreachable) {
      await this.connection.met(error);
      return this.tell(
        'error',
        'The connection to Vesalius broke off',
        'the viewer and its images are unharmed',
      );
    }
    if (error instanceof Refusal) {
      await this.connection.met(error);
      return this.tell('error', error.message, error.hint);
    }
    if (error instanceof GeometryError) return this.tell('error', error.message);
    this.tell('error', error instanceof Error ? error.message : String(error));
  }
}

const titleOf = (title: string, { label }: Group): string => (label ? `${title}, ${label}` : title);

/** What is being done, without how far it is. */
const kindOf = (stage: string): string => stage.replace(/,.*/, '');
