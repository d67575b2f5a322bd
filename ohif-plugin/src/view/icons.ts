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

export const refresh = (): View => icon('M20 5v5h-5', 'M19.5 10a8 8 0 1 0 .3 4.5');

/** The button's picture: slices of a body, one structure filled. */
export const mark = (): View =>
  h(
    'svg',
    {
      viewBox: '0 0 28 28',
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': '1.6',
      'aria-hidden': 'true',
    },
    h('path', { d: 'M14 5c6.1 0 10 3.7 10 8.700S20.1 23 14 23 4 18.7 4 13.7 7.9 5 14 5z' }),
    h('path', {
      d: 'M8.5 12.500c0-2.4 1.5-4 3.3-4 1.5 0 2.2 1.3 2.2 3.2 0 2.9-1.3 5.3-3 5.3-1.6 0-2.5-2-2.5-4.500z',
      fill: 'currentColor',
      stroke: 'none',
    }),
    h('path', { d: 'M17 10.500c1.7 0 3 1.4 3 3.500s-1.3 4-2.7 4-1.8-1.6-1.8-3.7.5-3.8 1.5-3.800z' }),
  );
