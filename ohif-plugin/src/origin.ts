// What the sidecar is told of the DICOM series that voxels came from: as much as a DICOM SEG of it repeats, no more.

import type { Slice } from './geometry.ts';
import type { Instance } from './host.ts';
import type { Series } from './series.ts';

export interface Origin {
  /** SOP Instance UID of each slice. */
  sources: string[];
  series: {
    study_instance_uid: string;
    series_instance_uid: string;
    frame_of_reference_uid?: string;
    sop_class_uid?: string;
    attributes: Record<string, string>;
  };
}

/** By DICOM keyword. */
const REPEATED = [
  'StudyDate',
  'StudyTime',
  'AccessionNumber',
  'ReferringPhysicianName',
  'StudyDescription',
  'PatientName',
  'PatientID',
  'IssuerOfPatientID',
  'PatientBirthDate',
  'PatientSex',
  'PatientAge',
  'PatientSize',
  'PatientWeight',
  'StudyID',
  'PositionReferenceIndicator',
];

/** None where slices are frames of larger images, or the viewer does not know their identifiers. */
export function originOf(
  { displaySet, studyUid, seriesUid }: Series,
  slices: readonly Slice[],
): Origin | undefined {
  const instance = displaySet.instances?.[0];
  const sources = slices.map(({ source }) => source);
  const areImages = sources.every(isUid) && new Set(sources).size === sources.length;
  if (!instance || !areImages || !isUid(studyUid) || !isUid(seriesUid)) return undefined;
  const { FrameOfReferenceUID: frame, SOPClassUID: kind } = instance;
  const attributes = Object.fromEntries(
    REPEATED.map(keyword => [keyword, text(instance[keyword])] as const).filter(
      ([, value]) => value !== undefined,
    ),
  ) as Record<string, string>;
  return {
    sources,
    series: {
      study_instance_uid: studyUid,
      series_instance_uid: seriesUid,
      ...(isUid(frame) && { frame_of_reference_uid: frame }),
      ...(isUid(kind) && { sop_class_uid: kind }),
      attributes,
    },
  };
}

function isUid(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && /^\d+(\.\d+)+$/.test(value);
}

/** One line of text of an attribute as the viewer holds it. Names are objects there, and lists have one item. */
export function text(value: Instance[string]): string | undefined {
  const first = Array.isArray(value) ? value[0] : value;
  const plain =
    typeof first === 'object' && first !== null ? (first as { Alphabetic?: unknown }).Alphabetic : first;
  if (typeof plain === 'number') return String(plain);
  if (typeof plain !== 'string' || plain.length > 300) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return /[\u0000-\u001f\u007f-\u009f]/.test(plain) ? undefined : plain;
}
