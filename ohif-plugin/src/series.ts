// The series in the pane that the user works in, and its slices.

import { GeometryError, type Slice, sorted } from './geometry.ts';
import type { DisplaySet, Host, ImagePlane, Instance } from './host.ts';

/** What a run works on: one series in one pane. */
export interface Series {
  viewportId: string;
  displaySet: DisplaySet;
  studyUid: string;
  seriesUid: string;
  modality: string;
  /** As a list of series shows it: `CT · 3 · Neck 2 mm`. */
  title: string;
  /** Images that OHIF has for it. */
  images: number;
}

/** The series of the active pane, none where that shows no images. */
export function activeSeries(host: Host): Series | undefined {
  const { viewportGridService, displaySetService } = host.services;
  const viewportId = viewportGridService.getActiveViewportId();
  const displaySet = (viewportGridService.getDisplaySetsUIDsForViewport(viewportId) ?? [])
    .map(uid => displaySetService.getDisplaySetByUID(uid))
    .find(isImages);
  return displaySet && seriesOf(displaySet, viewportId);
}

/** A series, for a run in some pane. */
export function seriesOf(displaySet: DisplaySet, viewportId: string): Series {
  const { Modality: modality, SeriesNumber: number, SeriesDescription: description } = displaySet;
  return {
    viewportId,
    displaySet,
    studyUid: displaySet.StudyInstanceUID,
    seriesUid: displaySet.SeriesInstanceUID,
    modality,
    title: [modality, number, description].filter(part => part !== undefined && part !== '').join(' · '),
    images: displaySet.imageIds?.length ?? 0,
  };
}

function isImages(set: DisplaySet | undefined): set is DisplaySet {
  return Boolean(set?.imageIds?.length && !set.isOverlayDisplaySet && !set.isDerivedDisplaySet);
}

/** The slices of some images, in their order in space. */
export function slicesOf(host: Host, imageIds: readonly string[]): Slice[] {
  const { metaData } = host.libraries().cornerstone;
  const slices = imageIds.map((imageId): Slice => {
    const instance = metaData.get('instance', imageId) as Instance | undefined;
    const plane = metaData.get('imagePlaneModule', imageId) as Partial<ImagePlane> | undefined;
    if (!plane?.imagePositionPatient || !plane.rowCosines || !plane.columnCosines || !plane.rows) {
      throw new GeometryError('The images do not say where they lie in the patient.');
    }
    return { imageId, source: instance?.SOPInstanceUID ?? imageId, plane: plain(plane as ImagePlane) };
  });
  return sorted(slices);
}

/** Numbers as an array of numbers: some versions hold vectors as typed arrays. */
function plain(plane: ImagePlane): ImagePlane {
  const vector = (from: ArrayLike<number>): [number, number, number] => [
    Number(from[0]),
    Number(from[1]),
    Number(from[2]),
  ];
  return {
    rows: plane.rows,
    columns: plane.columns,
    imagePositionPatient: vector(plane.imagePositionPatient),
    rowCosines: vector(plane.rowCosines),
    columnCosines: vector(plane.columnCosines),
    rowPixelSpacing: plane.rowPixelSpacing || 1,
    columnPixelSpacing: plane.columnPixelSpacing || 1,
  };
}

/** Image identifiers of a series that the viewer need not have shown yet. */
export function imageIdsIn(host: Host, displaySet: DisplaySet): string[] {
  return displaySet.imageIds ?? host.dataSource()?.getImageIdsForDisplaySet?.(displaySet) ?? [];
}

/** Image identifiers of all times or b-values of a series. */
export function allImageIds(displaySet: DisplaySet): string[] {
  const groups = displaySet.isDynamicVolume ? displaySet.dynamicVolumeInfo?.timePoints : undefined;
  return groups?.flat() ?? displaySet.imageIds ?? [];
}

/** Labels of the times or b-values of a series; none where it has one volume. */
export function timePointsOf(host: Host, { isDynamicVolume, dynamicVolumeInfo }: DisplaySet): string[] {
  if (!isDynamicVolume || !dynamicVolumeInfo) return [];
  const { metaData } = host.libraries().cornerstone;
  return dynamicVolumeInfo.timePoints.map(([id = ''], n) => {
    const value = (metaData.get('instance', id) as Instance | undefined)?.[dynamicVolumeInfo.splittingTag];
    const isB = dynamicVolumeInfo.splittingTag === 'DiffusionBValue' && value !== undefined;
    return isB ? `b = ${String(value)} s/mm²` : `volume ${n + 1}`;
  });
}
