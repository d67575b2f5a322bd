// What the sidecar takes and answers. Made by `npm run types` from tests/golden/openapi.json: change it there.

/** What is done. */
export type Action = {
  /** Answers a prompt. */
  prompt: Prompt;
} | {
  /** Replaces the newest prompt's answer by another of its candidates. */
  choose: number;
} | {
  /** Changes a structure as a whole. */
  tool: StructureTool;
} | 'foreign' | 'undo' | 'redo' | {
  /** Locks or unlocks: the label, and `true` or `false`. */
  lock: [unknown, unknown];
} | {
  /** Says that a structure is right, or with null that all are. */
  accept: number | null;
};

/** Versions of the API that are spoken. */
export type Api = {
  max: string;
  min: string;
};

/** One possible answer to a prompt. */
export type Candidate = {
  /** The lowest is the likeliest. */
  score: number;
  source: CandidateSource;
  /** Voxels that it changes. */
  voxels: number;
};

/** Where an answer comes from. */
export type CandidateSource = {
  /** The cut within a scope of so many millimetres. */
  scope: number;
} | 'component' | 'runner_up' | 'network';

/** A channel of a result, and where it came from. */
export type ChannelSource = UsedChannel & {
  /** Whether it lay on another grid than the labels. */
  resampled: boolean;
  /** Series Instance UID, where the image is of a DICOM series. */
  series?: string | null;
};

/** One way out of an ambiguity: send it as `{"KEY": "VALUE"}`. */
export type Choice = {
  /** What is to be chosen. */
  key: string;
  /** What it means, for people. */
  label: string;
  /** The value that stands for this way out. */
  value: string;
};

/** Why something was refused or failed. Codes never change their meaning; new ones may come. */
export type Code = 'bad_request' | 'invalid_json' | 'unauthorized' | 'origin_refused' | 'local_only' | 'pairing_closed' | 'pairing_failed' | 'pairing_refused' | 'archive_refused' | 'not_found' | 'method_not_allowed' | 'stalled' | 'conflict' | 'wrong_offset' | 'volume_incomplete' | 'job_not_done' | 'model_missing' | 'model_unavailable' | 'licence_not_accepted' | 'download_failed' | 'out_of_memory' | 'length_required' | 'too_large' | 'needs_too_much_memory' | 'unsupported_media_type' | 'host_refused' | 'geometry_invalid' | 'checksum_mismatch' | 'unknown_task' | 'unknown_structure' | 'unknown_operating_point' | 'unknown_channel' | 'channel_missing' | 'channel_mismatch' | 'modality_mismatch' | 'invalid_region' | 'version_unsupported' | 'queue_full' | 'too_many_attempts' | 'headers_too_large' | 'internal' | 'worker_died' | 'worker_silent' | 'segmentation_failed' | 'image_refused' | 'ambiguous' | 'runtime_missing' | 'shutting_down' | 'disk_full' | 'cancelled' | 'interrupted' | 'stale' | 'forgotten' | 'invalid' | 'masked' | 'locked';

/** A concept of a coding scheme. */
export type Concept = {
  meaning: string;
  /** Mostly `SCT`. */
  scheme: string;
  value: string;
};

/** What an operation did. */
export type Corrected = Wheel & {
  event: CorrectionEvent;
  /** Steps that can be made again. */
  redo: number;
  /** The session's own, higher than the event's where an old operation was sent again. */
  revision: number;
  /** Those that changed. */
  structures: CorrectedStructure[];
  /** Steps that can be taken back. */
  undo: number;
};

/** A structure while it is being corrected. */
export type CorrectedStructure = {
  /** sRGB. */
  color: number[];
  /** What it has cost so far. */
  effort: Effort;
  locked: boolean;
  name: string;
  status: ReviewStatus;
  terminology?: Terminology | null;
  value: number;
  volume_ml: number;
  voxels: number;
};

/** One change of the session. */
export type CorrectionEvent = {
  action: Action;
  /** What changed since the revision before, two hexadecimal digits a byte. */
  delta: string;
  effort: Effort;
  /** The operation's name. */
  operation: string;
  /** The revision after it; one more than before. */
  revision: number;
};

/** A session. */
export type CorrectionSession = CorrectionSubject & CorrectionState;

/** Everything that is known of a session but for its labels. */
export type CorrectionState = Wheel & {
  /** Voxels along i, j, k. */
  dims: number[];
  /** Rows of a 4x4 matrix. */
  ijk_to_world: number[];
  /** Steps that can be made again. */
  redo: number;
  /** Events so far. */
  revision: number;
  /** Whether the network's second choice is known. */
  runner_up: boolean;
  /** `LPS`. */
  space: string;
  structures: CorrectedStructure[];
  /** Steps that can be taken back. */
  undo: number;
};

/** What a session is about. */
export type CorrectionSubject = {
  /** Seconds since 1970. */
  created: number;
  id: Id;
  job?: Id | null;
  /** When somebody last asked for it, in seconds since 1970. */
  touched: number;
  volume: Id;
};

/** A viewer's masking. */
export type Editable = {
  /** The lowest and the highest intensity of a voxel that may change; any when left out. */
  intensity?: number[] | null;
  /** Labels that may give voxels, 0 is background; all when left out. The structure itself may always. */
  labels?: number[] | null;
};

/** What an edit cost, or several. */
export type Effort = {
  /** Prompts and brush strokes. */
  clicks: number;
  /** Seconds of work; of a longer pause, 15 count. */
  seconds: number;
  /** Changes taken back. */
  undos: number;
  /** `[[old label, new label], voxels]` of all that changed. */
  voxels: unknown[][];
};

/** What a worker says of itself. */
export type EngineInfo = {
  /** What runs them. */
  device?: string | null;
  /** Why they cannot run. */
  error?: Refusal | null;
  /** Whether networks can run. */
  ready: boolean;
};

/** A structure of a result. */
export type FoundStructure = Segment & {
  /** The same for the same structure in every result. */
  id: string;
  volume_ml: number;
  voxels: number;
};

/** What a prompt would do at least. */
export type Ghost = {
  candidate: Candidate;
  /** Two hexadecimal digits a byte. */
  delta: string;
  label: number;
  /** The labels that the delta fits. */
  revision: number;
  under: number;
};

/** One of several images. */
export type Group = Image & {
  b_value?: number | null;
  id: string;
  label: string;
};

/** The name of a volume or a job: 32 lower-case hexadecimal digits, so that it can name a file as well. */
export type Id = string;

/** Where an image lies. */
export type Image = {
  dims: [number, number, number];
  dtype: string;
  /** Rows of a 4x4 matrix. */
  ijk_to_world: number[];
  modality?: string | null;
  /** SOP Instance UID of each slice k. */
  sources: (string | null)[];
  space: string;
};

/** What this server is. */
export type Info = {
  api: Api;
  /** Archives whose series it fetches by itself: what the addresses begin with. */
  dicomweb: string[];
  /** Device and memory, or what is missing. */
  engine: EngineInfo;
  /** This run of the server. */
  instance: string;
  /** `vesalius` */
  name: string;
  notice: string;
  version: string;
};

/** What clients see of a job. */
export type Job = {
  /** The images of all channels of the task, in its order. */
  channels: UsedChannel[];
  created: number;
  error?: Refusal | null;
  /** Of this stage, 0 to 1; null where nobody knows. */
  fraction?: number | null;
  /** The image of the volume that is segmented. */
  group?: string | null;
  /** What tells that image from the others of its volume, for people, such as `b = 1000 s/mm²`. */
  group_label?: string | null;
  id: Id;
  /** `segment` or `install`. */
  kind: Kind;
  /** One plain sentence. */
  message: string;
  /** Of the whole job, 0 to 1; never less than before; null where nobody knows yet. */
  progress?: number | null;
  /** Of the whole job, from its pace so far; null where nobody knows yet. */
  remaining_seconds?: number | null;
  /** Of this stage, from its pace so far. */
  seconds_left?: number | null;
  /** What is being done, in words for people. */
  stage?: string | null;
  state: JobState;
  task: string;
  /** What is segmented. */
  volume?: Id | null;
};

/** What has become of a job. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** Kinds of jobs. Each kind is done one at a time, in a worker of its own. */
export type Kind = 'segment' | 'install';

/** What one threshold gave on the cases that the model was validated on. */
export type OperatingPointMeasured = {
  /** Mean Dice over cases with foreground. */
  dice: number;
  /** False voxels per case, in millilitres. */
  false_ml_per_case: number;
  /** Cases. */
  n: number;
  /** `sensitive`, `balanced` or `specific`; null where it has no name. */
  name?: string | null;
  /** Share of the found voxels that are true. */
  precision: number;
  /** Share of the true voxels that are found. */
  sensitivity: number;
  threshold: number;
};

/** A place that deserves a look. */
export type Place = {
  label: number;
  /** Its size in millilitres. */
  ml: number;
  /** That voxel's centre in LPS+ millimetres. */
  position: number[];
  reason: PlaceReason;
  /** Millilitres that are expected to be wrong: the order of the list. */
  score: number;
  /** A voxel of it near its middle. */
  voxel: number[];
};

/** Why a place deserves a look. */
export type PlaceReason = 'island' | 'hole' | {
  /** The network nearly said this other label. */
  unsure: number;
};

/** One thing that the user asks for. */
export type Prompt = {
  /** Where the viewer's masking allows the answer to change anything; everywhere when left out. */
  editable?: Editable | null;
  /** The structure; null takes the one under the prompt, or else the nearest within 10 mm. */
  label?: number | null;
  shape: Shape;
  sign: Sign;
};

/** What a network made of the newest prompt. */
export type Proposed = Wheel & {
  /** The network that was asked. */
  network: string;
  /** The session's, unchanged. */
  revision: number;
};

/** What a client reads instead of an answer, and what a failed job carries. */
export type Refusal = {
  /** What can be chosen, where somebody has to. */
  choices?: Choice[];
  /** Stable, for programs. */
  code: Code;
  /** What to do next; may be empty. */
  hint: string;
  /** What was found and what was expected, for people. */
  message: string;
};

/** How far the review of a structure has come. */
export type ReviewStatus = 'automatic' | 'edited' | 'accepted';

/** A structure, as [`Segment`] is written. */
export type Segment = {
  /** sRGB. */
  color: [number, number, number];
  name: string;
  /** What it is, where that has a code. */
  terminology?: Terminology | null;
  /** In the label map, 1 to 255. */
  value: number;
};

/** Where the user points, in LPS+ millimetres. */
export type Shape = {
  /** A click. */
  point: number[];
} | {
  /** A scribble on any plane, of at most 4096 points, half its width in millimetres. */
  scribble: {
  points: number[][];
  radius_mm: number;
};
} | {
  /** A box with two opposite corners. Nothing beyond it changes. */
  box: {
  corners: number[][];
};
};

/** Whether a prompt adds to a structure or removes from it. */
export type Sign = 'add' | 'remove';

/** A change of a whole structure, without a prompt. */
export type StructureTool = {
  /** Moves the boundary to where the image has edges, by so many millimetres at most, up to 10. */
  snap: {
  editable?: Editable | null;
  label: number;
  within_mm: number;
};
} | {
  /** Fills slices between drawn ones: those along axis 0, 1 or 2 of the image, or along the one with most gaps. */
  fill: {
  axis?: number | null;
  editable?: Editable | null;
  label: number;
};
} | {
  /** Keeps what hangs together with a position in LPS+ millimetres. */
  keep: {
  at: number[];
  editable?: Editable | null;
  label: number;
};
} | {
  /** Makes what hangs together with a position in LPS+ millimetres background. */
  drop: {
  at: number[];
  editable?: Editable | null;
  label: number;
};
};

/** The table of a result: what `GET /v1/jobs/ID/segmentation` gives. */
export type Table = {
  /** The images of all channels of the task, in its order. */
  channels?: ChannelSource[];
  /** Of the labels, which is that of the input: LPS, millimetres. */
  grid: unknown;
  /** The image of the volume that was segmented. */
  group?: UsedGroup | null;
  /** Versions, models and settings: an [`engine::Provenance`]; null where no network was run. */
  provenance: unknown;
  segments: FoundStructure[];
  task: string;
  warnings: string[];
};

/** A task. */
export type Task = {
  caution: string;
  /** The images that it takes, in order, by name; of a task of one image its modality. */
  channels: string[];
  id: string;
  licence: string;
  modality: string;
  /** Thresholds on the foreground's probability that its model was measured at; jobs take them as `operating_point`. */
  operating_points: OperatingPointMeasured[];
  segments: Segment[];
  speeds: TaskSpeed[];
  terms: string;
  title: string;
};

/** A task at one resolution. */
export type TaskSpeed = {
  /** Bytes to fetch for them; null where a size is not published. */
  bytes?: number | null;
  installed: boolean;
  /** Licences of the weights that are not here, or else of the task. */
  licence: string;
  /** Weights that are not here. */
  missing: string[];
  /** Why the weights that are not here cannot be fetched, and what to do instead. */
  obstacle?: Refusal | null;
  /** Whether these licences let everybody use the weights for anything. */
  permissive: boolean;
  /** Millimetres along x, y, z; null where nnU-Net's own resampling is used. */
  spacing_mm?: [number, number, number] | null;
  /** `default`, `fast` or `fastest`. */
  speed: string;
};

/** What a structure is, in the terms of DICOM Segmentation. */
export type Terminology = {
  anatomic_region?: Concept | null;
  anatomic_region_modifier?: Concept | null;
  category: Concept;
  type: Concept;
  type_modifier?: Concept | null;
};

/** Which image a channel of a job was. */
export type UsedChannel = {
  /** The image of that volume. */
  group: UsedGroup;
  /** As the task names it. */
  name: string;
  volume: Id;
};

/** Which of a volume's images a job works on. */
export type UsedGroup = {
  /** In s/mm², of diffusion-weighted images. */
  b_value?: number | null;
  /** Its name in the volume. */
  id: string;
  /** What tells it from the others, for people; empty where it is the only one. */
  label: string;
};

/** What clients see of a volume. */
export type Volume = Partial<Image> & {
  /** Bytes of the client, where they are known. */
  bytes?: number | null;
  /** Whether a job can use it. */
  complete: boolean;
  /** Why it could not be read. */
  error?: Refusal | null;
  /** All images: one as a rule, one for each b-value of a diffusion series. */
  groups: Group[];
  id: Id;
  /** Bytes that are there: go on from here. */
  received: number;
  /** `receiving`, `reading`, `ready` or `failed`. */
  state: VolumeState;
  /** The group that a job takes when it names none. */
  usual?: string | null;
  warnings: string[];
};

/** How far a volume has come. */
export type VolumeState = 'receiving' | 'fetching' | 'reading' | 'ready' | 'failed';

/** The stops of the wheel, while the newest change is a prompt's. */
export type Wheel = {
  /** Smallest first; last the network's, where one was asked. */
  candidates: Candidate[];
  /** Which of them the labels show. */
  chosen?: number | null;
  /** Other places where a network that was asked sees the structure otherwise; nothing changes there. */
  elsewhere?: number;
  /** The label that the prompt is about. */
  label?: number | null;
  /** The label under it that may give voxels; 0 is background. */
  under?: number | null;
};
