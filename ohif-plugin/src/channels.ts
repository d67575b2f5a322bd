// The images of a task that takes several: which series of the study, or which of its b-values, is which channel.

import type { Task } from './api.ts';
import type { DisplaySet, Host } from './host.ts';
import { imageIdsIn, type Series, seriesOf, timePointsOf } from './series.ts';

/** An image of the study that a channel can be. */
export interface Choice {
  key: string;
  /** As a list shows it: `MR · 4 · ep2d_diff, b = 1000 s/mm²`. */
  label: string;
  series: Series;
  /** Which of several times or b-values. */
  timePoint: number | undefined;
}

/** A channel of a task, and its image. */
export interface Channel {
  name: string;
  choice: Choice | undefined;
}

/** What series are called that hold an image, besides the image's own name. */
const WORDS: Record<string, string[]> = {
  dwi: ['diff', 'trace', 'b1000', 'b = 1000', 'isotropic'],
  adc: ['apparent'],
  flair: ['dark fluid', 'darkfluid', 'tirm'],
  t1: ['mprage', 'bravo'],
  t1ce: ['t1 gd', 't1c', 'contrast', 'post'],
  t1gd: ['t1c', 'contrast', 'post'],
};
/** s/mm²: of images with several b-values the nearest is meant. */
const USUAL_B = 1000;

/** What the user has chosen, and what is likely where nothing was chosen yet. */
export class Channels {
  private readonly chosen = new Map<string, string>();

  constructor(private readonly host: Host) {}

  /** Images of the study that can be chosen from. */
  images(task: Task | undefined, series: Series | undefined): Choice[] {
    return task && series ? choicesOf(this.host, series, task.modality) : [];
  }

  /** The images of a task that takes several; none where one is enough. */
  of(task: Task | undefined, series: Series | undefined): Channel[] {
    const names = task?.channels ?? [];
    return names.length > 1 ? assigned(names, this.images(task, series), this.chosen) : [];
  }

  choose(name: string, key: string): void {
    this.chosen.set(name, key);
  }

  /** What has to be chosen yet, in words. */
  missing(task: Task | undefined, series: Series | undefined): string | undefined {
    const found = this.of(task, series);
    const missing = found.find(({ choice }) => !choice);
    if (missing) return `Choose the image for ${missing.name}.`;
    const keys = found.map(({ choice }) => choice?.key);
    if (new Set(keys).size < keys.length) return 'Two of these images are the same.';
    const isHere = found.some(({ choice }) => choice?.series.displaySet === series?.displaySet);
    return found.length && !isHere ? 'Click a pane that shows one of these images.' : undefined;
  }
}

/** Images of the study that a channel can be, beginning with those of the active pane. */
export function choicesOf(host: Host, active: Series, modality: string): Choice[] {
  const { displaySetService } = host.services;
  const sets = displaySetService
    .getActiveDisplaySets()
    // The viewer knows the images of a series by name when it has shown it.
    .map(set => (set.imageIds ? set : { ...set, imageIds: imageIdsIn(host, set) }))
    .filter(set => isVolume(set, active, modality));
  const first = sets.filter(set => set === active.displaySet);
  const rest = sets.filter(set => set !== active.displaySet);
  return [...first, ...rest].flatMap(set => {
    const series = set === active.displaySet ? active : seriesOf(set, active.viewportId);
    const points = timePointsOf(host, set);
    const whole: Choice = {
      key: set.displaySetInstanceUID,
      label: series.title,
      series,
      timePoint: undefined,
    };
    if (points.length < 2) return [whole];
    return points.map((label, timePoint) => ({
      key: `${whole.key} ${timePoint}`,
      label: `${series.title}, ${label}`,
      series,
      timePoint,
    }));
  });
}

function isVolume(set: DisplaySet, active: Series, modality: string): boolean {
  const isHere = set.StudyInstanceUID === active.studyUid && set.Modality === modality;
  return isHere && (set.imageIds?.length ?? 0) > 1 && !set.isOverlayDisplaySet && !set.isDerivedDisplaySet;
}

/** Each channel with the image that the user chose for it, or else the likeliest of those that are left. */
export function assigned(
  names: readonly string[],
  choices: readonly Choice[],
  wanted: ReadonlyMap<string, string>,
): Channel[] {
  const found = new Map<string, Choice>();
  for (const name of names) {
    const choice = choices.find(({ key }) => key === wanted.get(name));
    if (choice) found.set(name, choice);
  }
  const isFree = (choice: Choice): boolean => ![...found.values()].includes(choice);
  const likely = names
    .filter(name => !found.has(name))
    .flatMap(name => choices.map(choice => ({ name, choice, score: likelihood(name, choice) })))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score);
  for (const { name, choice } of likely) {
    if (!found.has(name) && isFree(choice)) found.set(name, choice);
  }
  return names.map(name => ({ name, choice: found.get(name) }));
}

/** How well a channel's name fits what an image is called; 0: not at all. */
function likelihood(name: string, { label, series, timePoint }: Choice): number {
  const text = `${label} ${String(series.displaySet.instances?.[0]?.ImageType ?? '')}`.toLowerCase();
  const plain = name.toLowerCase();
  const isNamed = new RegExp(`(^|[^a-z])${plain.replace(/[^a-z0-9]/g, '.')}([^a-z]|$)`).test(text);
  const isLike = (WORDS[plain] ?? []).some(word => text.includes(word));
  // What is computed from diffusion images is mostly called by them, too.
  const isOther = plain === 'dwi' && /(^|[^a-z])adc([^a-z]|$)|apparent/.test(text);
  if (isOther || !(isNamed || isLike)) return 0;
  const b = Number(/b = ([\d.]+)/.exec(label)?.[1] ?? Number.NaN);
  const off = timePoint === undefined || Number.isNaN(b) ? 0 : Math.abs(b - USUAL_B) / 1e5;
  return (isNamed ? 2 : 1) - off;
}
