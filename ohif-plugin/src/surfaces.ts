// Structures in three dimensions: surfaces for panes that show them so, made when the first such pane asks, the largest
// structures first, and made anew where a correction changes them.

import { sliceOf } from './edit.ts';
import type { Host } from './host.ts';
import { turns } from './labels.ts';
import { type Extent, extend, type Mesh, meshOf } from './mesh.ts';
import type { Result } from './run.ts';

/** Time after the last change of a voxel until surfaces follow, in milliseconds. */
const SETTLED = 700;
/** Time between two pictures while they are made, in milliseconds: each begins with the whole scene in view. */
const SHOW_EVERY = 1500;

/** Surfaces as the viewer keeps them. */
interface Known {
  geometryIds: Map<number, string>;
}

/** Tells the viewer that surfaces exist, so that it does not make them itself: neither now nor after each edit. */
export function announceSurfaces(host: Host, segmentationId: string): void {
  const { cornerstone, cornerstoneTools } = host.libraries();
  const { eventTarget } = cornerstone;
  const { state } = cornerstoneTools.segmentation;
  const { SEGMENTATION_REPRESENTATION_MODIFIED: name, SEGMENTATION_DATA_MODIFIED: edits } =
    cornerstoneTools.Enums.Events;
  const known = state.getSegmentation(segmentationId);
  if (known) known.representationData.Surface = { geometryIds: new Map() };
  if (!name || !edits) return;
  const listener = (event: Event): void => {
    const { detail } = event as CustomEvent<{ segmentationId: string; type?: string }>;
    if (!state.getSegmentation(segmentationId)) eventTarget.removeEventListener(name, listener);
    else if (detail.segmentationId === segmentationId && detail.type === 'Surface')
      deafen(eventTarget, edits);
  };
  eventTarget.addEventListener(name, listener);
}

/**
 * Nobody begins to listen to `name` until the code that runs now has ended. From 3.12 on the viewer tells of a new pane
 * with surfaces, listens for edits, and tells itself at once of one: a conversion that nothing takes back any more.
 */
function deafen(target: EventTarget, name: string): void {
  const add: EventTarget['addEventListener'] = Object.getPrototypeOf(target).addEventListener;
  target.addEventListener = (...added: Parameters<typeof add>) => {
    if (added[0] !== name) add.apply(target, added);
  };
  queueMicrotask(() => Reflect.deleteProperty(target, 'addEventListener'));
}

export class Surfaces {
  private readonly made = new Map<number, number>();
  private readonly ends: (() => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isWanted = false;
  private isBusy = false;
  private isOver = false;

  constructor(
    private readonly host: Host,
    private readonly result: Result & { segmentationId: string },
    private readonly frameOfReferenceUID: string,
  ) {
    const { cornerstone, cornerstoneTools } = host.libraries();
    const { SEGMENTATION_RENDERED, SEGMENTATION_REPRESENTATION_MODIFIED, SEGMENTATION_DATA_MODIFIED } =
      cornerstoneTools.Enums.Events;
    const on = (
      name: string | undefined,
      hear: (detail: { segmentationId: string; type?: string }) => void,
    ) => {
      if (!name) return;
      const listener = (event: Event): void => {
        const { detail } = event as CustomEvent<{ segmentationId: string; type?: string }>;
        if (detail.segmentationId === result.segmentationId) hear(detail);
      };
      cornerstone.eventTarget.addEventListener(name, listener);
      this.ends.push(() => cornerstone.eventTarget.removeEventListener(name, listener));
    };
    for (const name of [SEGMENTATION_RENDERED, SEGMENTATION_REPRESENTATION_MODIFIED])
      on(name, ({ type }) => type === 'Surface' && this.begin());
    on(SEGMENTATION_DATA_MODIFIED, () => {
      if (!this.isWanted) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.make(), SETTLED);
    });
    if (this.panes().length) this.begin();
  }

  /** Begins with the first pane that shows them. */
  private begin(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    void this.make();
  }

  /** Forgets them. */
  end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    for (const end of this.ends) end();
    const { cache } = this.host.libraries().cornerstone;
    for (const label of this.made.keys()) cache.removeGeometryLoadObject?.(this.nameOf(label));
  }

  /** Makes surfaces of all structures that have none, or have changed. */
  private async make(): Promise<void> {
    if (this.isBusy) {
      this.timer = setTimeout(() => void this.make(), SETTLED);
      return;
    }
    this.isBusy = true;
    try {
      await this.makeAll();
    } finally {
      this.isBusy = false;
    }
  }

  private async makeAll(): Promise<void> {
    const { layer, structures, grid } = this.result;
    const slice = (k: number): Uint8Array | undefined => sliceOf(this.host, layer, k);
    const found = new Map<number, Extent>();
    const breathe = turns();
    for (let k = 0; k < grid.dims[2]; k += 1) {
      const labels = slice(k);
      if (labels) extend(found, labels, grid.dims[0], k);
      await breathe();
    }
    const isVisible = new Map(structures.map(structure => [structure.value, structure.isVisible]));
    const order = structures
      .map(({ value }) => value)
      .filter(value => (found.get(value)?.mark ?? 0) !== (this.made.get(value) ?? 0))
      .sort(
        (a, b) =>
          Number(isVisible.get(b)) - Number(isVisible.get(a)) ||
          (found.get(b)?.voxels ?? 0) - (found.get(a)?.voxels ?? 0),
      );
    let shownAt = performance.now();
    for (const value of order) {
      if (this.isOver) return;
      const extent = found.get(value);
      this.put(value, extent && meshOf(value, extent, slice, grid.dims[0], grid.ijkToWorld));
      this.made.set(value, extent?.mark ?? 0);
      await breathe();
      if (performance.now() - shownAt < SHOW_EVERY) continue;
      this.show();
      shownAt = performance.now();
    }
    if (order.length) this.show();
  }

  /** Hands a surface to the viewer; none where nothing is left of the structure. */
  private put(label: number, mesh: Mesh = { points: new Float32Array(0), polys: new Uint32Array(0) }): void {
    const { cornerstone, cornerstoneTools } = this.host.libraries();
    const { cache, geometryLoader } = cornerstone;
    const { state } = cornerstoneTools.segmentation;
    const known = state.getSegmentation(this.result.segmentationId)?.representationData.Surface as
      | Known
      | undefined;
    if (!known) return;
    const id = this.nameOf(label);
    const there = cache.getGeometry?.(id)?.data;
    if (there) {
      Object.assign(there, mesh);
      return;
    }
    if (!mesh.points.length) return;
    const { frameOfReferenceUID } = this;
    geometryLoader?.createAndCacheGeometry(id, {
      type: 'SURFACE',
      geometryData: { id, ...mesh, color: [255, 255, 255], frameOfReferenceUID, segmentIndex: label },
    });
    known.geometryIds.set(label, id);
  }

  private nameOf(label: number): string {
    return `segmentation_${this.result.segmentationId}_surface_${label}`;
  }

  /** Draws the panes that show surfaces. */
  private show(): void {
    const { utilities, segmentation } = this.host.libraries().cornerstoneTools;
    const render =
      segmentation.triggerSegmentationRender ?? utilities?.segmentation?.triggerSegmentationRender;
    for (const id of this.panes()) render?.(id);
  }

  /** Panes that show surfaces. */
  private panes(): string[] {
    const { segmentationService } = this.host.services;
    const { segmentationId } = this.result;
    return segmentationService
      .getViewportIdsWithSegmentation(segmentationId)
      .filter(id =>
        segmentationService
          .getSegmentationRepresentations(id, { segmentationId })
          .some(({ type }) => type === 'Surface'),
      );
  }
}
