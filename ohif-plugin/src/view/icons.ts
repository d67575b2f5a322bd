// The few pictures of the panel, drawn for it, on a grid of 24.

import { h, type View } from './dom.ts';

const icon = (...paths: string[]): View =>
  h(
    'svg',
    {
      viewBox: '0 0 24 24',
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': '1.8',
      'stroke-linecap': 'round',
      'stroke-linejoin': 'round',
      'aria-hidden': 'true',
    },
    paths.map(d => h('path', { d })),
  );

export const eye = (): View =>
  icon(
    'M2.5 12c2.4-4.3 5.6-6.5 9.5-6.5s7.1 2.2 9.5 6.5c-2.4 4.3-5.6 6.5-9.5 6.5S4.9 16.3 2.5 12z',
    'M12 9.200a2.8 2.8 0 1 0 .01 0z',
  );

export const eyeOff = (): View =>
  icon(
    'M4 4l16 16',
    'M9.8 5.700c.7-.15 1.450-.2 2.2-.2 3.9 0 7.1 2.2 9.5 6.5-.7 1.250-1.5 2.3-2.350 3.150',
    'M6.3 7.600C4.850 8.650 3.6 10.1 2.5 12c2.4 4.3 5.6 6.5 9.5 6.5 1.7 0 3.250-.4 4.650-1.250',
  );

export const cross = (): View => icon('M6 6l12 12', 'M18 6L6 18');

/** Beside what opens and closes. */
export const chevron = (isOpen: boolean): View => icon(isOpen ? 'M6 9l6 6 6-6' : 'M9 6l6 6-6 6');

export const check = (): View => icon('M5 12.5l4.5 4.5L19 7.5');

export const lock = (): View => icon('M6 11h12v9H6z', 'M8.5 11V8a3.5 3.5 0 0 1 7 0v3');

export const unlock = (): View => icon('M6 11h12v9H6z', 'M8.5 11V7a3.5 3.5 0 0 1 6.7-1.3');

export const refresh = (): View => icon('M20 5v5h-5', 'M19.5 10a8 8 0 1 0 .3 4.5');

/** The button's picture: a slice of a body, liver filled, spine outlined. */
export const mark = (): View =>
  h(
    'svg',
    {
      viewBox: '0 0 28 28',
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': '1.7',
      'aria-hidden': 'true',
    },
    h('path', { d: 'M14 6.2c7 0 10.6 3.2 10.6 7.700S20.7 22 14 22 3.4 18.4 3.4 13.9 7 6.2 14 6.200z' }),
    h('path', {
      d: 'M12.6 9.300c2 0 3 .7 2.7 1.8-.4 1.4-2.7 1.5-3.6 3-.8 1.3-.9 3.4-2.5 3.6-1.8.2-3.1-1.7-3.1-3.9 0-2.8 2.6-4.5 6.5-4.500z',
      fill: 'currentColor',
      stroke: 'none',
    }),
    h('circle', { cx: '14', cy: '18.1', r: '1.7' }),
    h('circle', { cx: '20', cy: '13.4', r: '1.5', fill: 'currentColor', stroke: 'none' }),
  );
