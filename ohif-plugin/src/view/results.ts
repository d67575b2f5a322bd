// What was found: structures with volumes, shown, hidden, jumped to; and results of before.

import type { App } from '../app.ts';
import { canStore, type FileFormat } from '../archive.ts';
import { displayName } from '../labels.ts';
import type { Result, Structure } from '../run.ts';
import { h, type View } from './dom.ts';
import { fixButton, fixCard, fixIcons, fixingOf } from './fix.ts';
import { cross, eye, eyeOff } from './icons.ts';
import type { Memory } from './setup.ts';
import { found, list, search } from './structures.ts';

/** Lists longer than this have a search field. */
const SEARCH_FROM = 12;

/** All results of the series in the active pane. */
export function results(app: App, memory: Memory): View[] {
  return app.shownResults().map(result => resultView(app, memory, result));
}

/** Results that the sidecar still has. */
export function offers(app: App): View | undefined {
  if (!app.offers.length || app.run) return undefined;
  return h(
    'div',
    { class: 'section', 'data-cy': 'vesalius-offers' },
    h('div', { class: 'head' }, h('span', { class: 'grow' }, 'Earlier results of this series')),
    h(
      'div',
      { class: 'body' },
      app.offers.map(offer =>
        h(
          'div',
          { class: 'row between', key: offer.job ?? offer.session ?? '' },
          h(
            'span',
            {},
            [displayName(offer.title), offer.label, offer.isCorrected && 'corrected']
              .filter(Boolean)
              .join(', '),
            ' ',
            h('span', { class: 'soft small' }, time(offer.created)),
          ),
          h('button', { class: 'plain mini', onclick: () => void app.show(offer) }, 'Show'),
        ),
      ),
    ),
  );
}

/** The time of day, and the day unless it is today: corrections are kept for a week. */
function time(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const at = new Date(seconds * 1000);
  const day =
    at.toDateString() === new Date().toDateString() ? {} : ({ day: 'numeric', month: 'short' } as const);
  return at.toLocaleString(undefined, { ...day, hour: '2-digit', minute: '2-digit' });
}

function resultView(app: App, memory: Memory, result: Result): View {
  const isShown = app.isInViewer(result);
  const fixing = fixingOf(app, result);
  const shown = found(result.structures, memory.results);
  const all = shown.flatMap(({ members }) => members);
  return h(
    'div',
    { class: 'section', key: result.segmentationId ?? result.job ?? '', 'data-cy': 'vesalius-result' },
    h(
      'div',
      { class: 'head' },
      h('span', { class: 'grow', title: displayName(result.title) }, displayName(result.title)),
      eyeOf(app, result, all, memory.results.text.trim() ? 'what is listed' : 'all', 'toggle-all'),
      h(
        'button',
        { class: 'icon', title: 'Take it out of the viewer', onclick: () => app.hide(result) },
        cross(),
      ),
    ),
    h(
      'div',
      { class: 'body' },
      !isShown && h('p', { class: 'soft' }, 'It was taken out of the viewer.'),
      result.warnings.map(warning => h('p', { class: 'soft small' }, warning)),
      result.structures.length > SEARCH_FROM && search(memory.results, 'vesalius-find', () => app.changed()),
      list(shown, memory.results, {
        id: 'vesalius-found',
        class: 'list tall',
        changed: () => app.changed(),
        row: structure => item(app, result, structure),
        sign: ({ title, members }) => [
          h('span', { class: 'volume' }, counted(members)),
          eyeOf(app, result, members, title.toLowerCase(), 'toggle-part'),
        ],
      }),
      fixing && fixCard(app, fixing),
      h('div', { class: 'row' }, fixButton(app, result), saveButton(app, result), downloadList(app, result)),
    ),
  );
}

const isThere = ({ voxels }: Structure): boolean => voxels > 0;

/** How many were found. */
function counted(structures: readonly Structure[]): string {
  const there = structures.filter(isThere).length;
  return there === structures.length ? `${there}` : `${there} of ${structures.length}`;
}

/** The eye for several structures: hides them where all are shown, else shows them. */
function eyeOf(app: App, result: Result, structures: readonly Structure[], words: string, id: string): View {
  const there = structures.filter(isThere);
  if (!there.length) return h('span', { class: 'icon' });
  const areVisible = there.every(({ isVisible }) => isVisible);
  const title = `${areVisible ? 'Hide' : 'Show'} ${words}`;
  return h(
    'button',
    {
      class: 'icon',
      title,
      'aria-label': title,
      'aria-pressed': String(areVisible),
      'data-cy': `vesalius-${id}`,
      onclick: () => app.setVisible(result, there, !areVisible),
    },
    areVisible ? eye() : eyeOff(),
  );
}

function item(app: App, result: Result, structure: Structure): View {
  const { name, color, voxels, volume_ml, isVisible } = structure;
  const isEmpty = voxels === 0;
  const fixing = fixingOf(app, result);
  return h(
    'div',
    {
      class: `item${isVisible ? '' : ' hidden'}${isEmpty ? ' empty' : ''}`,
      key: name,
      'data-cy': `vesalius-item-${name}`,
    },
    h('span', {
      class: 'swatch',
      style: { background: isEmpty ? 'transparent' : `rgb(${color.join(' ')})` },
    }),
    h(
      'button',
      {
        class: 'name',
        disabled: isEmpty,
        title: isEmpty ? 'Not found in these images' : `Go to ${displayName(name).toLowerCase()}`,
        onclick: () => app.jump(result, structure),
      },
      displayName(name),
    ),
    // A name cut short may be of the other side: signs take the place of the volume.
    !fixing && h('span', { class: 'volume' }, isEmpty ? 'not found' : millilitres(volume_ml)),
    ...(fixing ? fixIcons(fixing, structure) : []),
    isEmpty
      ? h('span', { class: 'icon' })
      : h(
          'button',
          {
            class: 'icon',
            title: isVisible ? 'Hide' : 'Show',
            'aria-label': `${isVisible ? 'Hide' : 'Show'} ${displayName(name).toLowerCase()}`,
            'aria-pressed': String(isVisible),
            onclick: () => app.setVisible(result, [structure], !isVisible),
          },
          isVisible ? eye() : eyeOff(),
        ),
  );
}

/** With three digits that count. */
export function millilitres(volume: number): string {
  if (volume >= 1000) return `${(volume / 1000).toFixed(2)} L`;
  return `${volume.toFixed(volume >= 100 ? 0 : volume >= 10 ? 1 : 2)} mL`;
}

function saveButton(app: App, result: Result): View {
  const label = { no: 'Save to PACS', saving: 'Saving …', saved: 'Saved to PACS' }[result.archive];
  const reason = canStore(app.host)
    ? result.isFromDicom
      ? undefined
      : 'Vesalius got voxels, not DICOM, and cannot refer to the images.'
    : 'This viewer has no archive to store in. Save the result as a file instead.';
  return h(
    'button',
    {
      class: 'plain',
      disabled: reason !== undefined || result.archive !== 'no',
      title: reason ?? 'Stores a DICOM SEG beside the images',
      'data-cy': 'vesalius-save',
      onclick: () => void app.save(result),
    },
    label,
  );
}

/** A list that does something: its first line is what the others do. */
function downloadList(app: App, result: Result): View {
  const words = { 'dicom-seg': 'DICOM SEG', nifti: 'NIfTI', 'seg.nrrd': '3D Slicer (seg.nrrd)' };
  const formats = (Object.keys(words) as FileFormat[]).filter(
    format => result.isFromDicom || format !== 'dicom-seg',
  );
  return h(
    'select',
    {
      class: 'picture',
      title: 'Save as a file',
      'aria-label': 'Save as a file',
      'data-cy': 'vesalius-download',
      onchange: (event: Event) => {
        const list = event.target as HTMLSelectElement;
        const format = list.value as FileFormat;
        list.value = '';
        void app.download(result, format);
      },
    },
    h('option', { value: '', disabled: true, hidden: true, selected: true }, 'Save as a file'),
    formats.map(format => h('option', { value: format }, words[format])),
  );
}
