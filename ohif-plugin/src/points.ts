// Operating points: thresholds that the model of a task was measured at, to find more, or less that is wrong.

import type { OperatingPointMeasured, Task } from './api.ts';

/** An operating point as a list shows it. */
export interface Point {
  /** As jobs take it; empty: the task's own default. */
  name: string;
  label: string;
  /** Its threshold, and what that gave. */
  hint: string;
}

/** Those with a name, in the order of the list; others can be asked for by number only. */
const NAMES = ['balanced', 'sensitive', 'specific'];

/** What can be chosen, the task's own default first; none where its model was not measured. */
export function pointsOf(task: Task | undefined): Point[] {
  const points = NAMES.flatMap(name => {
    const point = task?.operating_points?.find(each => each.name === name);
    return point ? [{ name, label: labelOf(name, point), hint: measured(point) }] : [];
  });
  return points.length ? [{ name: '', label: 'Default', hint: 'Threshold 0.5' }, ...points] : [];
}

function labelOf(name: string, { n }: OperatingPointMeasured): string {
  if (name === 'balanced') return `Balanced (best Dice on validation cases, n = ${n})`;
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function measured(point: OperatingPointMeasured): string {
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
  return (
    `Threshold ${point.threshold}. On validation cases (n = ${point.n}): ` +
    `${percent(point.sensitivity)} of the structure found, ${percent(point.precision)} of what was found is true, ` +
    `${point.false_ml_per_case.toFixed(1)} mL false per case, mean Dice ${point.dice.toFixed(2)}`
  );
}

/** What the user has chosen, for each task. */
export class Points {
  private readonly chosen = new Map<string, string>();

  choose(task: Task, name: string): void {
    this.chosen.set(task.id, name);
  }

  /** The name that jobs take; none: the task's own default. */
  of(task: Task | undefined): string | undefined {
    const name = this.chosen.get(task?.id ?? '');
    return pointsOf(task).some(point => point.name === name) ? name || undefined : undefined;
  }
}
