// The toolbar's button: opens the panel.

import { h, render } from './dom.ts';
import { mark } from './icons.ts';

export const BUTTON_TAG = 'vesalius-button';

const STYLE = `
button { display: grid; place-items: center; width: 40px; height: 40px; padding: 0; border: 0; border-radius: 6px; cursor: pointer; background: none; color: #fff; }
button:hover { background: hsl(var(--accent, 217 79% 24%)); color: #fff; }
button:focus-visible { outline: 2px solid hsl(var(--highlight, 191 74% 63%)); }
svg { width: 28px; height: 28px; display: block; }
`;

export function defineButton(open: () => void): void {
  if (customElements.get(BUTTON_TAG)) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  customElements.define(
    BUTTON_TAG,
    class extends HTMLElement {
      connectedCallback(): void {
        const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
        root.adoptedStyleSheets = [sheet];
        const words = 'Segment with Vesalius';
        render(root, [
          h(
            'button',
            { title: words, 'aria-label': words, 'data-cy': 'VesaliusButton', onclick: open },
            mark(),
          ),
        ]);
      }
    },
  );
}
