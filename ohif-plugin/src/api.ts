// What the sidecar takes and answers. Made by `npm run types` from tests/golden/openapi.json: change it there.

/** What is done. */
export type Action = {
  /** Answers a prompt. */
  prompt: Prompt;
} | {
  /** Replaces the newest prompt's answer by another of its candidates. */
  choose: number;
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
} | 'component' | 'runner_up';

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
export type Code = 'bad_request' | 'invalid_json' | 'unauthorized' | 'origin_refused' | 'local_only' | 'pairing_closed' | 'pairing_failed' | 'pairing_refused' | 'archive_refused' | 'not_found' | 'method_not_allowed' | 'stalled' | 'conflict' | 'wrong_offset' | 'volume_incomplete' | 'job_not_done' | 'model_missing' | 'model_unavailable' | 'licence_not_accepted' | 'download_failed' | 'out_of_memory' | 'length_required' | 'too_large' | 'needs_too_much_memory' | 'unsupported_media_type' | 'host_refused' | 'geometry_invalid' | 'checksum_mismatch' | 'unknown_task' | 'unknown_structure' | 'modality_mismatch' | 'invalid_region' | 'version_unsupported' | 'queue_full' | 'too_many_attempts' | 'headers_too_large' | 'internal' | 'worker_died' | 'worker_silent' | 'segmentation_failed' | 'image_refused' | 'ambiguous' | 'runtime_missing' | 'shutting_down' | 'disk_full' | 'cancelled' | 'interrupted' | 'stale' | 'forgotten' | 'invalid' | 'locked';

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

/** Types of samples: those that 3D Slicer holds. */
export type Dtype = 'uint8' | 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'float64';

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

/** What `POST /v1/sessions/ID/hover` takes. */
export type Hover = {
  prompt: Prompt;
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

/** What `POST /v1/models` takes. */
export type InstallRequest = {
  /** Agree to the terms of weights that are not free for every use. */
  accept_licence?: boolean;
  /** `default`, `fast` or `fastest`. */
  speed?: string;
  /** A task; also a dataset number or the name of published weights. */
  task: string;
};

/** What clients see of a job. */
export type Job = {
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

/** What `POST /v1/jobs` takes. */
export type JobRequest = {
  /** As `--body-seg`. */
  body_crop?: boolean;
  /** Run although the image is of another modality than the task. */
  force?: boolean;
  /** One of the volume's groups; the usual one when left out. */
  group?: string | null;
  /** Keep the networks' second choice for corrections: two bytes a voxel more. */
  keep_runner_up?: boolean;
  /** As `--mode precise`. */
  precise?: boolean;
  /** Only this box: first voxel and the one after the last, along i, j, k. */
  region?: number[][] | null;
  /** As `--remove-small-blobs`: cubic millimetres. */
  remove_small_mm3?: number | null;
  /** As the command line's `--robust-crop`. */
  robust_crop?: boolean;
  /** `default`, `fast` or `fastest`. */
  speed?: string;
  /** Only these; empty: all. */
  structures?: string[];
  /** As `GET /v1/tasks` names it. */
  task: string;
  /** A complete volume. */
  volume: Id;
};

/** What has become of a job. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** Kinds of jobs. Each kind is done one at a time, in a worker of its own. */
export type Kind = 'segment' | 'install';

/** The header of a file. */
export type NewFile = {
  /** In all; where they are not known before, `POST /v1/volumes/ID/complete` ends the upload. */
  bytes?: number | null;
  /** `application/octet-stream` for a NIfTI, NRRD or DICOM file, `application/zip`, or `multipart/related` with its boundary for the answer of a DICOMweb server. */
  content_type: string;
  /** `file`. */
  format: string;
  /** DICOM's code, for files that do not say it. */
  modality?: string | null;
  /** Names can tell who the patient is: taken, and forgotten. */
  name?: string | null;
  /** Of all bytes. */
  sha256?: string | null;
};

/** The header of a series that the server fetches by itself. */
export type NewRemote = {
  /** The header `Authorization` that the archive wants; kept until the series is there, and never written down. */
  authorization?: string | null;
  /** `dicomweb`. */
  format: string;
  /** DICOM's code, for files that do not say it. */
  modality?: string | null;
  /** `.../studies/UID/series/UID`, below an address of the server's `info`. */
  url: string;
};

/** The DICOM series that voxels were decoded from. */
export type NewSeries = {
  /** What a derived object repeats, by DICOM keyword: `PatientName`, `PatientID`, `StudyDate`, ... */
  attributes?: Record<string, string>;
  frame_of_reference_uid?: string | null;
  series_instance_uid: string;
  /** By the modality when left out. */
  sop_class_uid?: string | null;
  study_instance_uid: string;
};

/** What `POST /v1/sessions` takes. */
export type NewSession = {
  /** One of the volume's groups; that of the job, or the usual one, when left out. */
  group?: string | null;
  /** Whose labels and structures are corrected. */
  job?: Id | null;
  /** A volume on the same grid whose voxels are the labels to correct, where no job made them. */
  labels?: Id | null;
  /** Labels that may not change. */
  locked?: number[];
  /** What labels mean, in addition to the job's structures. */
  structures?: NewStructure[];
  /** The image; that of the job when left out. */
  volume?: Id | null;
};

/** What a label means. */
export type NewStructure = {
  /** sRGB; one of its own when left out. */
  color?: number[] | null;
  name: string;
  /** That of the name, where it is known, when left out. */
  terminology?: Terminology | null;
  /** 1 to 255. */
  value: number;
};

/** The header of a volume: what `POST /v1/volumes` takes. */
export type NewVolume = {
  /** Samples per voxel; only 1 can be segmented. */
  components?: number | null;
  /** Voxels along i, j, k; i runs fastest in the data. */
  dims: number[];
  /** Of the samples, little endian. */
  dtype: Dtype;
  /** `raw`, or left out. */
  format?: RawFormat;
  /** Rows of the 4x4 matrix from `[i, j, k, 1]` to millimetres. */
  ijk_to_world: number[];
  /** DICOM's code, where known. */
  modality?: string | null;
  /** Names can tell who the patient is: taken, and forgotten. */
  name?: string | null;
  /** That series. */
  series?: NewSeries | null;
  /** Of all voxels, in hexadecimal digits; checked when the last byte is there. */
  sha256?: string | null;
  /** SOP Instance UID of each slice k, where a viewer holds a DICOM series. */
  sources?: string[];
  /** What the matrix maps to. */
  space: Space;
};

/** What `POST /v1/sessions/ID/operations` takes. */
export type Operation = {
  action: Action;
  /** The revision that the user saw. */
  base: number;
  /** Of the action `foreign`: what changed, two hexadecimal digits a byte. */
  delta?: string | null;
  /** A new name for each, such as a UUID: 1 to 128 visible characters. */
  operation: string;
  /** Seconds that the user spent on it. */
  seconds?: number;
};

/** What a page is told when it is paired. */
export type Paired = {
  /** The page's name from now on. */
  client_id: string;
  /** That the server knew the code too. */
  proof: string;
};

/** How far a pairing is, for the program that shows the code and asks the user. */
export type Pairing = {
  /** Seconds that are left. */
  expires_in: number;
  /** What the page calls itself: its own words. */
  label?: string | null;
  /** The page that wants in: show it to the user when asking. */
  origin?: string | null;
  /** What is waited for, or how it ended. */
  state: PairingState;
};

/** `POST /v1/pair/answer` */
export type PairingAnswer = {
  /** The user's word. */
  allow: boolean;
};

/** `POST /v1/pair/begin` */
export type PairingBegin = {
  /** What the page calls itself: up to 40 letters, digits, spaces, `-`, `_`, `.`. */
  label: string;
  /** 32 random bytes in base64url without padding, never used before. */
  nonce: string;
};

/** What a page is told when it begins. */
export type PairingBegun = {
  /** This run of the server. */
  instance: string;
  /** Of this attempt. */
  pair_id: string;
  /** Where it listens: the page checks that it dialled this one. */
  port: number;
  /** 32 bytes in base64url. */
  server_nonce: string;
};

/** A code to show to the user. */
export type PairingCode = {
  /** Port and code, as in `38917-K7QF-M2XD-9TRW`. */
  code: string;
  /** Seconds that it is good for. */
  expires_in: number;
};

/** `POST /v1/pair/confirm` */
export type PairingConfirm = {
  /** As the server said it. */
  pair_id: string;
  /** That the page knows the code. */
  proof: string;
};

/** What a page is told while the user thinks. */
export type PairingPending = {
  /** `asking` */
  state: PairingState;
};

/** `POST /v1/pair` */
export type PairingRequest = unknown;

/** How far a pairing is. */
export type PairingState = 'waiting' | 'asking' | 'allowed' | 'refused' | 'expired';

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
  /** The structure; null takes the one under the prompt, or else the nearest within 10 mm. */
  label?: number | null;
  shape: Shape;
  sign: Sign;
};

/** The only other format. */
export type RawFormat = 'raw';

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

/** A session. */
export type Session = {
  /** Seconds, if it is used now and then; a day at most. */
  expires_in: number;
  /** For `Authorization: Bearer`; good for this origin only. */
  token: string;
};

/** `POST /v1/session/confirm` */
export type SessionConfirm = {
  /** That the page knows the key. */
  proof: string;
  /** As the server said it. */
  server_nonce: string;
};

/** The server's proof. */
export type SessionOffer = {
  /** This run of the server. */
  instance: string;
  /** Where it listens: the client checks that it dialled this one. */
  port: number;
  /** That the server knows the key. */
  proof: string;
  /** 32 bytes in base64url. */
  server_nonce: string;
};

/** `POST /v1/session` */
export type SessionRequest = {
  /** `local`, or what pairing gave. */
  client_id: string;
  /** 32 random bytes in base64url without padding, never used before. */
  nonce: string;
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

/** Which way the world's axes point. */
export type Space = 'RAS' | 'LPS';

/** Places that deserve a look. */
export type Suspicious = {
  /** The gravest first. */
  places: Place[];
  /** The labels that were looked at. */
  revision: number;
};

/** The table of a result: what `GET /v1/jobs/ID/segmentation` gives. */
export type Table = {
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
  /** Smallest first. */
  candidates: Candidate[];
  /** Which of them the labels show. */
  chosen?: number | null;
  /** The label that the prompt is about. */
  label?: number | null;
  /** The label under it that may give voxels; 0 is background. */
  under?: number | null;
};

/** A task. */
export type Task = {
  caution: string;
  id: string;
  licence: string;
  modality: string;
  segments: Segment[];
  speeds: TaskSpeed[];
  terms: string;
  title: string;
};
