// Where things stand with the sidecar, in words, with what to do next.

import type { App } from '../app.ts';
import type { State } from '../connection.ts';
import { h, type View } from './dom.ts';

interface Words {
  title: string;
  text: string;
  steps?: string[];
  kind: 'error' | 'warn' | 'info';
}

const OTHER: Partial<Record<State, Words>> = {
  'not-running': {
    title: 'Vesalius does not answer on this computer',
    text: 'Or it does not know this viewer any more. The viewer looks for it every few seconds.',
    steps: [
      'Start it in a terminal: `vesalius serve`, or from 3D Slicer’s Vesalius panel',
      'If it runs already, pair again',
    ],
    kind: 'warn',
  },
  'permission-needed': {
    title: 'The browser needs your permission',
    text: 'It asks whether this site may reach apps on this device. Choose Allow: images go to Vesalius on this computer and nowhere else.',
    kind: 'warn',
  },
  'permission-denied': {
    title: 'The browser has blocked this site',
    text: 'It may not reach apps on this device.',
    steps: [
      'Click the icon left of the address',
      'Allow “Apps on device” (or “Local network access”)',
      'Load this page again',
    ],
    kind: 'error',
  },
  insecure: {
    title: 'This viewer needs https',
    text: 'Browsers let only secure pages work with programs on this computer. Ask whoever runs the viewer to serve it over https.',
    kind: 'error',
  },
  'blocked-by-policy': {
    title: 'This viewer’s security policy is in the way',
    text: 'Ask whoever runs the viewer to add to `connect-src` of its Content-Security-Policy:',
    kind: 'error',
  },
  impostor: {
    title: 'Another program answers in Vesalius’s place',
    text: 'It does not know the key of this viewer, and nothing was sent to it. End that program, or pair again.',
    kind: 'error',
  },
  version: { title: 'Versions do not fit', text: 'Update Vesalius or this viewer’s plugin.', kind: 'error' },
  refused: { title: 'Vesalius does not let this viewer in', text: '', kind: 'error' },
};

/** `code` between backticks. */
function words(text: string): (View | string)[] {
  return text.split('`').map((part, n) => (n % 2 ? h('code', {}, part) : part));
}

/** The line at the top: one dot and one sentence. */
export function statusLine(app: App): View {
  const { state, info } = app.connection.status;
  const [tone, text] =
    state === 'ready'
      ? ['good', `Vesalius ${info?.version ?? ''} on ${deviceName(info?.engine.device ?? '')}`]
      : state === 'checking'
        ? ['busy', 'Looking for Vesalius …']
        : state === 'confirming'
          ? ['busy', 'Waiting for your consent']
          : ['bad', 'Not connected'];
  return h(
    'div',
    { class: 'head', 'data-cy': 'vesalius-status', 'data-state': state },
    h('span', { class: `dot ${tone}` }),
    h('span', { class: 'grow' }, text),
  );
}

function deviceName(device: string): string {
  return /cuda|tensorrt|gpu|directml|mps|coreml/i.test(device) ? 'the graphics card' : 'this computer';
}

/** What to do about it; nothing while connected. */
export function connectionCard(app: App, typed: { code: string }): View | undefined {
  const { state, detail } = app.connection.status;
  if (state === 'ready' || state === 'checking') return undefined;
  if (state === 'unpaired') return pairingCard(app, typed, detail);
  if (state === 'confirming') return confirmingCard(app);
  const { title, text, steps, kind } = OTHER[state] ?? { title: state, text: '', kind: 'error' as const };
  return h(
    'div',
    { class: 'body', 'data-cy': 'vesalius-connection' },
    h(
      'div',
      { class: `card ${kind}`, role: 'status' },
      h('strong', {}, title),
      text && h('p', {}, words(text)),
      state === 'blocked-by-policy' && h('code', {}, app.connection.base),
      detail && h('p', { class: 'soft' }, detail),
      steps &&
        h(
          'ol',
          {},
          steps.map(step => h('li', {}, words(step))),
        ),
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          { class: 'primary', onclick: () => void app.connect() },
          state === 'permission-needed' ? 'Ask the browser' : 'Try again',
        ),
        !app.connection.isBehindSite &&
          h('button', { class: 'plain', onclick: () => void app.connection.forget() }, 'Pair again'),
      ),
    ),
  );
}

function pairingCard(app: App, typed: { code: string }, detail: string | undefined): View {
  const submit = (event: Event): void => {
    event.preventDefault();
    void app.pair(typed.code);
  };
  return h(
    'form',
    { class: 'body', onsubmit: submit, 'data-cy': 'vesalius-pairing' },
    h('strong', {}, 'Connect to Vesalius on this computer'),
    h('p', { class: 'soft' }, 'Once for this viewer and browser. Images never leave this computer for it.'),
    detail && h('p', { class: 'soft small' }, detail),
    h(
      'ol',
      { class: 'small' },
      h(
        'li',
        {},
        words(
          'Get a code: `vesalius serve` and `vesalius pair` in two terminals, or 3D Slicer’s Vesalius panel',
        ),
      ),
      h('li', {}, 'Type the code that it shows'),
      h('li', {}, 'Allow this site there'),
    ),
    h('input', {
      type: 'text',
      class: 'code',
      'aria-label': 'Pairing code',
      placeholder: '38917-XXXX-XXXX-XXXX',
      autocomplete: 'off',
      spellcheck: 'false',
      value: typed.code,
      'data-cy': 'vesalius-code',
      oninput: (event: Event) => {
        typed.code = (event.target as HTMLInputElement).value;
        app.changed();
      },
    }),
    h(
      'button',
      {
        class: 'primary wide',
        type: 'submit',
        disabled: typed.code.trim().length < 14,
        'data-cy': 'vesalius-pair',
      },
      'Connect',
    ),
  );
}

function confirmingCard(app: App): View {
  return h(
    'div',
    { class: 'body', 'data-cy': 'vesalius-confirming' },
    h(
      'div',
      { class: 'card info', role: 'status' },
      h('strong', {}, 'Now allow this site'),
      h('p', {}, 'Where the code was shown, Vesalius asks whether this site may use it:'),
      h('code', {}, location.origin),
      h(
        'div',
        { class: 'row' },
        h('button', { class: 'plain', onclick: () => app.connection.stopPairing() }, 'Cancel'),
      ),
    ),
  );
}
