// Correcting a result: what a click does, what it did, and what else it can mean.

import type { Action } from '../api.ts';
import type { App } from '../app.ts';
import type { Fixing } from '../fixing.ts';
import { displayName } from '../labels.ts';
import type { Result, Structure } from '../run.ts';
import { h, type View } from './dom.ts';
import { check, lock, unlock } from './icons.ts';

/** The button that begins and ends it. */
export function fixButton(app: App, result: Result): View {
  const fixing = fixingOf(app, result);
  return h(
    'button',
    {
      class: fixing ? 'primary' : 'plain',
      disabled: !app.isInViewer(result),
      'aria-pressed': String(Boolean(fixing)),
      title: 'Correct structures by clicks',
      'data-cy': 'vesalius-fix',
      onclick: () => void app.fix(result),
    },
    fixing && !fixing.hasMouse ? 'Fix by clicks again' : fixing ? 'End fixing' : 'Fix',
  );
}

export function fixingOf(app: App, result: Result): Fixing | undefined {
  return app.fixing?.result === result ? app.fixing : undefined;
}

/** While it goes on. */
export function fixCard(app: App, fixing: Fixing): View {
  const { session, result, place } = fixing;
  const { candidates, chosen = 0 } = session;
  const named = (value: number | undefined): string => {
    const structure = result.structures.find(other => other.value === value);
    return structure ? displayName(structure.name) : '';
  };
  const button = (words: string, id: string, isPossible: boolean, act: () => void, title = words): View =>
    h(
      'button',
      { class: 'plain mini', disabled: !isPossible, title, 'data-cy': `vesalius-${id}`, onclick: act },
      words,
    );
  return h(
    'div',
    {
      class: 'card info',
      'data-cy': 'vesalius-fixing',
      'data-revision': String(session.revision),
      'data-busy': String(fixing.isBusy),
    },
    h(
      'p',
      {},
      fixing.hasMouse
        ? 'Click where a structure is missing; Ctrl-click where it is too much. Draw along what a click does not catch.'
        : 'The viewer’s own tool edits now, and its strokes are kept like clicks.',
    ),
    h(
      'label',
      { class: 'field' },
      h('span', { class: 'soft small' }, 'Clicks are about'),
      h(
        'select',
        {
          'data-cy': 'vesalius-target',
          onchange: (event: Event) => {
            fixing.target = Number((event.target as HTMLSelectElement).value) || undefined;
            app.changed();
          },
        },
        h(
          'option',
          { value: '0', selected: fixing.target === undefined },
          'the structure at the pointer, or the nearest',
        ),
        result.structures.map(({ value }) =>
          h(
            'option',
            { value: String(value), selected: fixing.target === value, key: String(value) },
            named(value),
          ),
        ),
      ),
    ),
    candidates.length > 1 &&
      h(
        'div',
        { class: 'row between' },
        h(
          'span',
          { class: 'grow', 'data-cy': 'vesalius-candidates' },
          `${named(session.label)}: ${chosen + 1} of ${candidates.length}`,
        ),
        button('Less', 'less', chosen > 0, () => void fixing.step(-1), 'Less (wheel down, Shift Tab)'),
        button(
          'More',
          'more',
          chosen < candidates.length - 1,
          () => void fixing.step(1),
          'More (wheel up, Tab)',
        ),
      ),
    h(
      'div',
      { class: 'row between' },
      h(
        'span',
        { class: 'soft small' },
        place ? `Doubtful place ${place.number} of ${place.of}: ${named(place.label)}` : '',
      ),
      button(
        'Next doubtful place',
        'next',
        true,
        () => void fixing.next(),
        'Next doubtful place (N; back: Shift N)',
      ),
    ),
    h(
      'div',
      { class: 'row' },
      button('Undo', 'undo', session.undo > 0, () => app.host.run('undo'), 'Undo (Ctrl Z)'),
      button('Redo', 'redo', session.redo > 0, () => app.host.run('redo'), 'Redo (Ctrl Y)'),
      h('span', { class: 'soft small numbers' }, fixing.isBusy ? '…' : ''),
    ),
  );
}

/** What a row of the list has besides, while it goes on. */
export function fixIcons(fixing: Fixing, { value, name, status, isLocked = false }: Structure): View[] {
  const words = displayName(name).toLowerCase();
  const icon = (title: string, isOn: boolean, id: string, action: Action, picture: View): View =>
    h(
      'button',
      {
        class: isOn ? 'icon on' : 'icon',
        title,
        'aria-label': `${title}: ${words}`,
        'aria-pressed': String(isOn),
        'data-cy': `vesalius-${id}`,
        onclick: () => void fixing.operate(action),
      },
      picture,
    );
  const isAccepted = status === 'accepted';
  return [
    icon(isAccepted ? 'Accepted' : 'Accept', isAccepted, 'accept', { accept: value }, check()),
    icon(
      isLocked ? 'Unlock' : 'Lock',
      isLocked,
      'lock',
      { lock: [value, !isLocked] },
      isLocked ? lock() : unlock(),
    ),
  ];
}
