// What to segment: series, task, speed, structures; and the run that follows.

import type { Task, TaskSpeed } from '../api.ts';
import type { App } from '../app.ts';
import type { Channel } from '../channels.ts';
import { displayName } from '../labels.ts';
import { pointsOf } from '../points.ts';
import type { Run } from '../state.ts';
import { h, type View } from './dom.ts';
import { found, type ListMemory, list, search } from './structures.ts';

/** What the panel remembers of its own. */
export interface Memory {
  code: string;
  isChoosing: boolean;
  /** The list to choose structures from, and those of results. */
  choosing: ListMemory;
  results: ListMemory;
}

const SPEEDS: Record<string, string> = { default: 'Fine', fast: 'Fast', fastest: 'Fastest' };

/** The form above the button. */
export function setup(app: App, memory: Memory): View {
  const { series, task } = app;
  const speed = task?.speeds.find(({ speed }) => speed === app.speed) ?? task?.speeds[0];
  return h(
    'div',
    { class: 'section' },
    h('div', { class: 'head' }, h('span', { class: 'grow' }, 'Segment')),
    h(
      'div',
      { class: 'body' },
      h(
        'p',
        { 'data-cy': 'vesalius-series' },
        series ? series.title : 'Click a pane that shows CT or MR images.',
      ),
      series && app.fittingTasks().length === 0
        ? h('p', { class: 'soft' }, `There is no task for ${series.modality} images.`)
        : [
            taskChoice(app),
            pointChoice(app),
            app.channels.of(app.task, series).length ? imageChoices(app) : timePointChoice(app),
            speedChoice(app),
            task && structureChoice(app, memory, task),
          ],
      task?.caution ? h('p', { class: 'soft small' }, sentence(task.caution)) : undefined,
      speed && !speed.installed && task ? missing(app, task, speed) : undefined,
      app.run ? progress(app, app.run) : startButton(app, speed),
    ),
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function taskChoice(app: App): View {
  const tasks = app.fittingTasks();
  const isHere = (task: Task): boolean => task.speeds.some(({ installed }) => installed);
  const group = (label: string, members: Task[]): View | undefined =>
    members.length
      ? h(
          'optgroup',
          { label },
          members.map(({ id, title }) =>
            h('option', { value: id, selected: id === app.taskId, key: id }, displayName(title)),
          ),
        )
      : undefined;
  return h(
    'label',
    { class: 'field' },
    h('span', { class: 'soft small' }, 'Task'),
    h(
      'select',
      {
        'data-cy': 'vesalius-task',
        disabled: Boolean(app.run),
        onchange: (event: Event) => app.choose((event.target as HTMLSelectElement).value),
      },
      group('Installed', tasks.filter(isHere)),
      group(
        'Not installed',
        tasks.filter(task => !isHere(task)),
      ),
    ),
  );
}

/** The operating point, of a task whose model was measured at several. */
export function pointChoice(app: Pick<App, 'task' | 'points' | 'run' | 'changed'>): View | undefined {
  const { task } = app;
  const points = pointsOf(task);
  if (!task || !points.length) return undefined;
  const chosen = app.points.of(task) ?? '';
  const choose = (event: Event): void => {
    app.points.choose(task, (event.target as HTMLSelectElement).value);
    app.changed();
  };
  return h(
    'label',
    { class: 'field', key: 'operating point' },
    h('span', { class: 'soft small' }, 'Operating point'),
    h(
      'select',
      {
        'data-cy': 'vesalius-point',
        title: points.find(({ name }) => name === chosen)?.hint,
        disabled: Boolean(app.run),
        onchange: choose,
      },
      points.map(({ name, label, hint }) =>
        h(
          'option',
          { value: name, selected: name === chosen, title: hint, key: `${task.id} ${name}` },
          label,
        ),
      ),
    ),
  );
}

function timePointChoice(app: App): View | undefined {
  const points = app.timePoints();
  if (points.length < 2) return undefined;
  const chosen = app.timePoint ?? points.length - 1;
  const choose = (event: Event): void => {
    app.timePoint = Number((event.target as HTMLSelectElement).value);
    app.changed();
  };
  return h(
    'label',
    { class: 'field' },
    h('span', { class: 'soft small' }, 'Volume of this series'),
    h(
      'select',
      { 'data-cy': 'vesalius-time-point', disabled: Boolean(app.run), onchange: choose },
      points.map((label, n) => h('option', { value: String(n), selected: n === chosen }, label)),
    ),
  );
}

/** Which image is which, of a task that takes several. */
function imageChoices(app: App): View[] {
  const images = app.channels.images(app.task, app.series);
  const field = ({ name, choice }: Channel): View =>
    h(
      'label',
      { class: 'field', key: `channel ${name}` },
      h('span', { class: 'soft small' }, name),
      h(
        'select',
        {
          'data-cy': `vesalius-channel-${name}`,
          disabled: Boolean(app.run),
          onchange: (event: Event) => {
            app.channels.choose(name, (event.target as HTMLSelectElement).value);
            app.changed();
          },
        },
        choice ? undefined : h('option', { value: '', selected: true }, 'Choose …'),
        images.map(({ key, label }) =>
          h('option', { value: key, selected: key === choice?.key, key }, label),
        ),
      ),
    );
  const missing = app.channels.missing(app.task, app.series);
  return [
    ...app.channels.of(app.task, app.series).map(field),
    ...(missing ? [h('p', { class: 'soft', 'data-cy': 'vesalius-missing-image' }, missing)] : []),
  ];
}

function speedChoice(app: App): View | undefined {
  const speeds = app.task?.speeds ?? [];
  if (speeds.length < 2) return undefined;
  return h(
    'div',
    { class: 'segmented', role: 'group', 'aria-label': 'Speed' },
    speeds.map(({ speed, spacing_mm }) =>
      h(
        'button',
        {
          'aria-pressed': String(speed === app.speed),
          disabled: Boolean(app.run),
          onclick: () => {
            app.speed = speed;
            app.changed();
          },
        },
        SPEEDS[speed] ?? speed,
        spacing_mm ? h('small', {}, `${Math.max(...spacing_mm)} mm`) : undefined,
      ),
    ),
  );
}

function structureChoice(app: App, memory: Memory, task: Task): View {
  const only = app.only.get(task.id);
  const count = task.segments.length;
  const summary = only
    ? `${only.size} of ${count} structures`
    : count === 1
      ? '1 structure'
      : `All ${count} structures`;
  return h(
    'div',
    { class: 'row between' },
    h('span', {}, summary),
    count > 1 &&
      h(
        'button',
        {
          class: 'link',
          'data-cy': 'vesalius-choose',
          'aria-expanded': String(memory.isChoosing),
          onclick: () => {
            memory.isChoosing = !memory.isChoosing;
            app.changed();
          },
        },
        memory.isChoosing ? 'Done' : 'Choose …',
      ),
  );
}

/** The list of structures to choose from; below the form, so that the button stays in place. */
export function structureList(app: App, memory: Memory): View | undefined {
  const { task } = app;
  if (!task || !memory.isChoosing || task.segments.length < 2) return undefined;
  const only = app.only.get(task.id);
  const isChosen = ({ name }: { name: string }): boolean => only?.has(name) ?? true;
  const change = (structures: readonly { name: string }[], isWanted: boolean): void => {
    const chosen = new Set(only ?? task.segments.map(({ name }) => name));
    for (const { name } of structures) isWanted ? chosen.add(name) : chosen.delete(name);
    if (chosen.size === task.segments.length) app.only.delete(task.id);
    else app.only.set(task.id, chosen);
    app.changed();
  };
  const box = (structures: readonly { name: string }[], label: string | undefined): View => {
    const chosen = structures.filter(isChosen).length;
    return h('input', {
      type: 'checkbox',
      'aria-label': label,
      checked: chosen === structures.length,
      indeterminate: chosen > 0 && chosen < structures.length,
      onchange: (event: Event) => change(structures, (event.target as HTMLInputElement).checked),
    });
  };
  const shown = found(task.segments, memory.choosing);
  const all = shown.flatMap(({ members }) => members);
  const mini = (words: string, isWanted: boolean): View =>
    h('button', { class: 'plain mini', onclick: () => change(all, isWanted) }, words);
  return h(
    'div',
    { class: 'section' },
    h('div', { class: 'head' }, h('span', { class: 'grow' }, 'Structures')),
    h(
      'div',
      { class: 'body' },
      search(memory.choosing, 'vesalius-search', () => app.changed()),
      h('div', { class: 'row' }, mini('All', true), mini('None', false)),
      list(shown, memory.choosing, {
        id: 'vesalius-structures',
        class: 'list',
        changed: () => app.changed(),
        row: segment =>
          h('label', { key: segment.name }, box([segment], undefined), displayName(segment.name)),
        sign: ({ title, members }) => [
          h('span', { class: 'volume' }, `${members.filter(isChosen).length} of ${members.length}`),
          h('span', { class: 'icon' }, box(members, title)),
        ],
      }),
    ),
  );
}

function missing(app: App, task: Task, speed: TaskSpeed): View {
  const flag = speed.speed === 'default' ? '' : ` --${speed.speed}`;
  return h(
    'div',
    { class: 'card warn', 'data-cy': 'vesalius-missing' },
    h('p', {}, 'The model is not on this computer yet. Install it there once:'),
    h('code', {}, `vesalius models install ${task.id}${flag}`),
    h(
      'p',
      { class: 'soft small' },
      [speed.bytes ? `${(speed.bytes / 1e6).toFixed(0)} MB` : undefined, task.licence]
        .filter(Boolean)
        .join(' · '),
    ),
    h(
      'div',
      { class: 'row' },
      h('button', { class: 'plain mini', onclick: () => void app.connect() }, 'Look again'),
    ),
  );
}

function startButton(app: App, speed: TaskSpeed | undefined): View {
  const chosen = app.task && app.only.get(app.task.id);
  const isReady = speed?.installed && chosen?.size !== 0;
  const isPossible = app.series && app.task && isReady && !app.channels.missing(app.task, app.series);
  return h(
    'button',
    {
      class: 'primary wide',
      disabled: !isPossible,
      'data-cy': 'vesalius-run',
      onclick: () => void app.start(),
    },
    'Segment',
  );
}

function progress(app: App, { stage, fraction, secondsLeft }: Run): View {
  const isKnown = fraction !== undefined;
  const percent = Math.floor(100 * (fraction ?? 0));
  return h(
    'div',
    { class: 'body', style: { padding: '0' }, 'data-cy': 'vesalius-progress' },
    h(
      'div',
      { class: 'row between' },
      h('span', {}, stage),
      h('span', { class: 'soft numbers' }, isKnown ? `${percent} %` : ''),
    ),
    h(
      'div',
      {
        class: isKnown ? 'track' : 'track unknown',
        role: 'progressbar',
        'aria-label': stage,
        'aria-valuenow': isKnown ? String(percent) : undefined,
      },
      h('div', { style: { width: isKnown ? `${percent}%` : '' } }),
    ),
    h(
      'div',
      { class: 'row between' },
      h('span', { class: 'soft small numbers' }, left(secondsLeft)),
      h(
        'button',
        { class: 'plain mini', 'data-cy': 'vesalius-cancel', onclick: () => app.cancel() },
        'Cancel',
      ),
    ),
  );
}

/** Time left, as exactly as it is known. */
export function left(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return '';
  if (seconds < 5) return 'a few seconds left';
  if (seconds < 55) return `about ${5 * Math.ceil(seconds / 5)} s left`;
  if (seconds < 90) return 'about a minute left';
  return `about ${Math.round(seconds / 60)} min left`;
}
