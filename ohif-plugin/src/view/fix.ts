// Correcting a result: what a click does, what it did, and what else it can mean.

import type { Action } from '../api.ts';
import type { App } from '../app.ts';
import type { Fixing } from '../fixing.ts';
import { displayName } from '../labels.ts';
import type { Result, Structure } from '../run.ts';
import { h, type View } from './dom.ts';
import { check, lock, unlock } from './icons.ts';

const CLICKING =
  'Click where a structure is missing; Ctrl-click where it is too much. Draw along what a click does not catch, or Shift-drag a box.';
const PICKING: Record<string, string> = {
  keep: 'Click the piece that stays; all other pieces of that structure go (Esc: nothing happens).',
  drop: 'Click the piece that goes; the rest of that structure stays (Esc: nothing happens).',
};

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
        ? (PICKING[fixing.pick ?? ''] ?? CLICKING)
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
    tools(app, fixing, named, button),
    h(
      'div',
      { class: 'row' },
      button('Undo', 'undo', session.undo > 0, () => app.host.run('undo'), 'Undo (Ctrl Z)'),
      button('Redo', 'redo', session.redo > 0, () => app.host.run('redo'), 'Redo (Ctrl Y)'),
      button(
        'Accept all',
        'accept-all',
        result.structures.some(({ voxels, status }) => voxels > 0 && status !== 'accepted'),
        () => void fixing.operate({ accept: null }),
        'All structures of this result are right',
      ),
      h('span', { class: 'soft small numbers' }, fixing.isBusy ? '…' : ''),
    ),
  );
}

/** What a click cannot say. */
function tools(
  app: App,
  fixing: Fixing,
  named: (value: number | undefined) => string,
  button: (words: string, id: string, isPossible: boolean, act: () => void, title?: string) => View,
): View[] {
  const { about, pick, isAsking } = fixing;
  const of = named(about) || 'a structure that is chosen or was clicked';
  const piece = (kind: 'keep' | 'drop', words: string, key: string, title: string): View =>
    h(
      'button',
      {
        class: 'plain mini',
        'aria-pressed': String(pick === kind),
        title: `${title} (${key})`,
        'data-cy': `vesalius-${kind}`,
        onclick: () => fixing.choosePieceTo(kind),
      },
      words,
    );
  const [network] = app.networks;
  return [
    h(
      'div',
      { class: 'row wrap' },
      piece('keep', 'Keep one piece', 'O', 'Then click the piece that stays'),
      piece('drop', 'Drop a piece', 'D', 'Then click the piece that goes'),
      button(
        'Snap to edges',
        'snap',
        Boolean(about),
        () => fixing.snap(),
        `Move the boundary to edges of the image, by 3 mm at most: ${of}`,
      ),
      button(
        'Fill between slices',
        'fill',
        Boolean(about),
        () => fixing.fill(),
        `Fill the slices between those where it was drawn: ${of}`,
      ),
      network &&
        button(
          isAsking ? 'Stop asking' : 'Ask network',
          'ask',
          isAsking || fixing.session.candidates.length > 0,
          () => (isAsking ? fixing.giveUp() : void fixing.ask(network.id)),
          `A second opinion on the last click, from ${network.id} (${network.licence})`,
        ),
    ),
  ];
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
