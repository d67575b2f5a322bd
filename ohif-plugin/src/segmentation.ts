// A result as an OHIF segmentation: the right voxels on the right slices, with names and colours in all panes.

import type { FoundStructure } from './api.ts';
import type { Slice, Vector } from './geometry.ts';
import type { Color, Host, SegmentEntry } from './host.ts';
import { displayName, turns } from './labels.ts';
import { nonce } from './proof.ts';
import type { Series } from './series.ts';
import { announceSurfaces } from './surfaces.ts';

export interface Shown {
  segmentationId: string;
  /** Its images, by the slice of the labels that they show. */
  layer: (string | undefined)[];
}

/** Slices made together. */
const TOGETHER = 4;

/**
 * Adds a segmentation to the viewer. `order[n]` is the slice of `labels` that belongs to `slices[n]`.
 */
export async function show(
  host: Host,
  series: Series,
  slices: readonly Slice[],
  labels: Uint8Array,
  order: readonly (number | undefined)[],
  segments: readonly FoundStructure[],
  title: string,
  volumeId: string | undefined,
): Promise<Shown> {
  const { cornerstone, cornerstoneTools } = host.libraries();
  const imageIds = slices.map(slice => slice.imageId);
  const derived: string[] = [];
  const layer: (string | undefined)[] = [];
  const breathe = turns();
  for (let start = 0; start < imageIds.length; start += TOGETHER) {
    const some = imageIds.slice(start, start + TOGETHER);
    for (const image of cornerstone.imageLoader.createAndCacheDerivedLabelmapImages(some)) {
      const k = order[derived.length];
      const target = image.voxelManager.getScalarData() as Uint8Array;
      if (k !== undefined) target.set(labels.subarray(k * target.length, (k + 1) * target.length));
      if (k !== undefined) layer[k] = image.imageId;
      derived.push(image.imageId);
    }
    await breathe();
  }
  const segmentationId = `vesalius-${nonce().slice(0, 22)}`;
  const volume = volumeId && cornerstone.cache.getVolume(volumeId) ? { referencedVolumeId: volumeId } : {};
  const { segmentationService } = host.services;
  segmentationService.addOrUpdateSegmentation({
    segmentationId,
    representation: {
      type: 'Labelmap',
      data: { imageIds: derived, referencedImageIds: imageIds, ...volume },
    },
    config: {
      label: title,
      fallbackLabel: title,
      segments: entries(segments),
      cachedStats: { info: series.title },
    },
  });
  const lut = cornerstoneTools.segmentation.state.addColorLUT(colors(segments));
  // Panes that get the segmentation later, such as those of another layout, look their colours up here.
  segmentationService._segmentationIdToColorLUTIndexMap?.set(segmentationId, lut);
  announceSurfaces(host, segmentationId);
  await addToPanes(host, series, segmentationId, lut);
  segmentationService.setActiveSegmentation(series.viewportId, segmentationId);
  return { segmentationId, layer };
}

/**
 * Adds a segmentation to the pane it was asked for in, and to all that show the same series. Panes in three dimensions
 * come last: the viewer draws pane after pane, and without a graphics card one of those takes seconds.
 */
async function addToPanes(host: Host, series: Series, segmentationId: string, lut: number): Promise<void> {
  const { segmentationService, viewportGridService } = host.services;
  const { segmentation } = host.libraries().cornerstoneTools;
  const uid = series.displaySet.displaySetInstanceUID;
  const others = [...viewportGridService.getState().viewports]
    .filter(([id, pane]) => id !== series.viewportId && pane.displaySetInstanceUIDs?.includes(uid))
    .map(([id]) => id);
  const solid = viewports(host).filter(({ type }) => type === 'volume3d');
  const isSolid = (pane: string): boolean => solid.some(({ id }) => id === pane);
  const ids = [series.viewportId, ...others].sort((a, b) => Number(isSolid(a)) - Number(isSolid(b)));
  for (const id of ids) {
    const isThere = segmentationService.getSegmentationRepresentations(id, { segmentationId }).length > 0;
    if (isThere) continue;
    // OHIF takes a label map where nothing is said, before 3.12 also in three dimensions.
    const kind = isSolid(id) ? { type: 'Surface' } : {};
    const config = { colorLUTOrIndex: lut };
    await segmentationService.addSegmentationRepresentation(id, { segmentationId, ...kind, config });
  }
  for (const id of segmentationService.getViewportIdsWithSegmentation(segmentationId)) {
    const [shown] = segmentationService.getSegmentationRepresentations(id, { segmentationId });
    if (shown && shown.colorLUTIndex !== lut) segmentation.config.color.setColorLUT(id, segmentationId, lut);
  }
}

const viewports = (host: Host) =>
  (host.libraries().cornerstone.getRenderingEngines() ?? []).flatMap(engine => engine.getViewports());

function entries(segments: readonly FoundStructure[]): Record<number, SegmentEntry> {
  const entry = ({ value, name }: FoundStructure, n: number): [number, SegmentEntry] => [
    value,
    {
      segmentIndex: value,
      label: displayName(name),
      locked: false,
      active: n === 0,
      cachedStats: {},
      algorithmType: 'AUTOMATIC',
      algorithmName: 'Vesalius',
    },
  ];
  return Object.fromEntries(segments.map(entry));
}

/** A colour for each label up to the largest. Cornerstone puts one in front unless the first is all zeros. */
function colors(segments: readonly FoundStructure[]): Color[] {
  const most = Math.max(0, ...segments.map(({ value }) => value));
  const table: Color[] = Array.from({ length: most + 1 }, (_, n) =>
    n ? [128, 128, 128, 255] : [0, 0, 0, 0],
  );
  for (const { value, color } of segments) table[value] = [...color, 255];
  return table;
}

/** Shows or hides structures in all panes. */
export function setVisible(
  host: Host,
  segmentationId: string,
  values: readonly number[],
  isVisible: boolean,
): void {
  const { segmentationService } = host.services;
  const { state } = host.libraries().cornerstoneTools.segmentation;
  const [first, ...others] = values;
  if (first === undefined) return;
  for (const id of segmentationService.getViewportIdsWithSegmentation(segmentationId)) {
    for (const { type, segments } of state.getSegmentationRepresentations(id, { segmentationId })) {
      // Each call draws all panes and tells the whole viewer: a hundred of them take seconds, one is enough.
      for (const value of others) {
        const segment = segments?.[value];
        if (segment) segment.visible = isVisible;
      }
      segmentationService.setSegmentVisibility(id, segmentationId, first, isVisible, type);
    }
  }
}

/** Brings all panes that show a segmentation to a point, in millimetres. */
export function jumpTo(host: Host, segmentationId: string, value: number, world: Vector): void {
  const { segmentationService } = host.services;
  const ids = segmentationService.getViewportIdsWithSegmentation(segmentationId);
  for (const viewport of viewports(host).filter(({ id }) => ids.includes(id))) {
    if (viewport.jumpToWorld) {
      viewport.jumpToWorld(world);
      viewport.render();
    } else {
      segmentationService.jumpToSegmentCenter(segmentationId, value, viewport.id);
    }
  }
  segmentationService.setActiveSegment(segmentationId, value);
}

/** Takes a segmentation out of the viewer. */
export function remove(host: Host, segmentationId: string): void {
  host.services.segmentationService.remove?.(segmentationId);
}

/** Whether the viewer still has it: leaving a study ends all segmentations. */
export function isShown(host: Host, segmentationId: string): boolean {
  return host.services.segmentationService.getSegmentation(segmentationId) !== undefined;
}
