// Lists of structures: a field to search in, and parts of the body that open and close where there are many.

import { matching, type Part, parts } from '../anatomy.ts';
import { h, type View } from './dom.ts';
import { chevron } from './icons.ts';

/** What a list remembers. */
export interface ListMemory {
  text: string;
  /** Titles of the parts that are open. */
  open: Set<string>;
}

export const listMemory = (): ListMemory => ({ text: '', open: new Set() });

/** The structures that a search leaves. */
export function found<T extends { name: string }>(structures: readonly T[], { text }: ListMemory): Part<T>[] {
  return matching(parts(structures), text);
}

/** Rows of the structures that a search leaves; while somebody searches, all parts are open. */
export function list<T extends { name: string }>(
  shown: readonly Part<T>[],
  memory: ListMemory,
  view: {
    /** Where tests find it. */
    id: string;
    class: string;
    changed: () => void;
    row: (structure: T) => View;
    /** What stands right of a part's title. */
    sign: (part: Part<T>) => View[];
  },
): View {
  const { open, text } = memory;
  const isOpen = (title: string): boolean => title === '' || text.trim() !== '' || open.has(title);
  const turn = (title: string): void => {
    if (!open.delete(title)) open.add(title);
    view.changed();
  };
  return h(
    'div',
    { class: view.class, 'data-cy': view.id },
    shown.flatMap(part => [
      part.title !== '' && header(part.title, isOpen(part.title), () => turn(part.title), view.sign(part)),
      isOpen(part.title) && part.members.map(view.row),
    ]),
    !shown.length && h('p', { class: 'soft none' }, 'No structure of that name.'),
  );
}

function header(title: string, isOpen: boolean, turn: () => void, sign: View[]): View {
  return h(
    'div',
    { class: 'part', key: `part ${title}`, 'data-cy': 'vesalius-part' },
    h(
      'button',
      { class: 'title', 'aria-expanded': String(isOpen), onclick: turn },
      chevron(isOpen),
      h('span', {}, title),
    ),
    ...sign,
  );
}

/** A field for what is looked for. */
export function search(memory: ListMemory, id: string, changed: () => void): View {
  return h('input', {
    type: 'search',
    placeholder: 'Search',
    'aria-label': 'Search structures',
    'data-cy': id,
    value: memory.text,
    oninput: (event: Event) => {
      memory.text = (event.target as HTMLInputElement).value;
      changed();
    },
  });
}
