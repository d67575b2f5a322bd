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
  state?: 'receiving' | 'reading' | 'ready' | 'failed';
  received?: number;
  bytes?: number | null;
  dims?: [number, number, number] | null;
  ijk_to_world?: number[] | null;
  warnings?: string[];
  sources?: string[];
  groups?: Group[];
  error?: Problem | null;
}

/** One volume of several in a series, such as one b-value of a diffusion series. */
export interface Group {
  id: string | number;
  label: string;
  b_value?: number | null;
  dims: [number, number, number];
  ijk_to_world: number[];
  sources: string[];
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
  group?: string | number | null;
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
  sources?: string[];
  dims?: [number, number, number];
  ijk_to_world?: number[];
}
