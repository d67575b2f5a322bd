// What the panel shows besides results: a run, a notice, a network.

/** A run that is under way. */
export interface Run {
  seriesUid: string;
  title: string;
  stage: string;
  fraction: number | undefined;
  secondsLeft: number | undefined;
}

/** Something to tell the user. */
export interface Notice {
  kind: 'error' | 'info';
  text: string;
  hint: string;
}

/** What is told of an installed model, as far as it is used. */
export interface Model {
  id: string;
  licence: string;
  promptable?: boolean;
}
