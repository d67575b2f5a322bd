// The side panel: a custom element with its own styles, so that neither the viewer's framework nor its version matters.

import type { App } from '../app.ts';
import { connectionCard, statusLine } from './connection.ts';
import { h, render, type View } from './dom.ts';
import { offers, results } from './results.ts';
import { type Memory, setup, structureList } from './setup.ts';
import { listMemory } from './structures.ts';
import { STYLE } from './style.ts';

export const PANEL_TAG = 'vesalius-panel';

/** Time between two looks for a sidecar that is not there. */
const LOOK_EVERY = 5000;

/** Makes the element known to the browser, once. */
export function definePanel(app: App): void {
  if (customElements.get(PANEL_TAG)) return;
  const memory: Memory = { code: '', isChoosing: false, choosing: listMemory(), results: listMemory() };
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);

  customElements.define(
    PANEL_TAG,
    class extends HTMLElement {
      private unsubscribe: (() => void) | undefined;
      private timer: ReturnType<typeof setInterval> | undefined;
      private isDue = false;

      connectedCallback(): void {
        const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
        root.adoptedStyleSheets = [sheet];
        // The viewer's hotkeys must not take what is typed here.
        for (const name of ['keydown', 'keyup', 'keypress']) {
          this.addEventListener(name, event => event.stopPropagation());
        }
        this.unsubscribe = app.subscribe(() => this.draw());
        this.timer = setInterval(() => {
          if (app.connection.status.state === 'not-running' && !document.hidden) void app.connect();
        }, LOOK_EVERY);
        render(root, panel(app, memory));
      }

      disconnectedCallback(): void {
        this.unsubscribe?.();
        clearInterval(this.timer);
      }

      /** Draws once for all changes of a turn. */
      private draw(): void {
        if (this.isDue) return;
        this.isDue = true;
        queueMicrotask(() => {
          this.isDue = false;
          if (this.shadowRoot && this.isConnected) render(this.shadowRoot, panel(app, memory));
        });
      }
    },
  );
}

function panel(app: App, memory: Memory): View[] {
  const isReady = app.connection.status.state === 'ready';
  const { notice } = app;
  const parts: (View | undefined)[] = [
    statusLine(app),
    connectionCard(app, memory),
    notice &&
      h(
        'div',
        { class: 'body', 'data-cy': 'vesalius-notice' },
        h(
          'div',
          { class: `card ${notice.kind}`, role: 'alert' },
          h('p', {}, notice.text),
          notice.hint ? h('p', { class: 'soft' }, notice.hint) : undefined,
        ),
      ),
    isReady || app.run ? setup(app, memory) : undefined,
    isReady ? structureList(app, memory) : undefined,
    ...results(app, memory),
    isReady ? offers(app) : undefined,
    h('p', { class: 'foot' }, 'For research use; not a medical device.'),
  ];
  return parts.filter(part => part !== undefined);
}
