// What the sidecar answers, as far as it is used here (docs/server.md).

export interface Coded {
  scheme: string;
  value: string;
  meaning: string;
}

export interface Segment {
  value: number;
  name: string;
  color: [number, number, number];
  group?: string | null;
}

export interface Speed {
  speed: 'default' | 'fast' | 'fastest';
  spacing_mm: number[] | null;
  installed: boolean;
  missing: unknown[];
  bytes?: number | null;
}

export interface Task {
  id: string;
  title: string;
  modality: string;
  licence: string;
  terms: string;
  caution: string;
  speeds: Speed[];
  segments: Segment[];
}

export interface Info {
  version: string;
  api: { min: string; max: string };
  notice: string;
  engine: { device: string; ready: boolean };
}

export interface VolumeView {
  id: string;
  /** Left out by a sidecar that takes voxels only. */
  state?: 'receiving' | 'reading' | 'ready' | 'failed';
  warnings?: { code: string; message: string }[];
  groups?: Group[];
  /** The group that a job takes when it names none. */
  usual?: string | null;
  error?: Problem | null;
}

/** One volume of those in a series: the only one as a rule, one for each b-value of a diffusion series. */
export interface Group {
  id: string;
  label: string;
  b_value?: number | null;
  dims: [number, number, number];
  /** Rows of a 4x4 matrix to millimetres, LPS+. */
  ijk_to_world: number[];
  /** SOP Instance UID of each slice k; none where no slice lies on that plane of an uneven stack. */
  sources: (string | null)[];
}

export interface Problem {
  code: string;
  message: string;
  hint: string;
}

export interface JobView {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  task?: string;
  volume?: string;
  /** Seconds since 1970. */
  created?: number;
  group?: string | null;
  stage?: string | null;
  fraction?: number | null;
  seconds_left?: number | null;
  progress?: number | null;
  remaining_seconds?: number | null;
  message?: string | null;
  error?: Problem | null;
}

/** A structure that was found. */
export interface Found extends Segment {
  id: string;
  voxels: number;
  volume_ml: number;
}

export interface Table {
  segments: Found[];
}
