// A view as a function of state: `h` describes elements, `render` changes what differs. Enough for one panel, and no
// framework that the viewer would have to share.

export interface View {
  tag: string;
  key: string | undefined;
  properties: Properties;
  children: (View | string)[];
}

type Child = View | string | number | false | null | undefined | Child[];

/** Attributes; `on...` are listeners; `style` sets properties one by one, which a content security policy allows. */
export type Properties = {
  key?: string;
  style?: Record<string, string>;
  [name: string]: unknown;
};

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'path', 'circle', 'g']);
/** Set on the element itself: attributes only give their first value. */
const LIVE = new Set(['value', 'checked', 'disabled', 'indeterminate', 'selected']);

/** An element. */
export function h(tag: string, properties: Properties = {}, ...children: Child[]): View {
  return { tag, key: properties.key, properties, children: flat(children) };
}

function flat(children: Child[]): (View | string)[] {
  return children.flatMap(child => {
    if (Array.isArray(child)) return flat(child);
    if (child === false || child === null || child === undefined) return [];
    return [typeof child === 'number' ? String(child) : child];
  });
}

/** What an element was made from. */
const made = new WeakMap<globalThis.Node, View>();

/** Makes the children of `parent` be `wanted`. Elements of the same kind and key stay, with focus and scroll. */
export function render(parent: Element | ShadowRoot, wanted: (View | string)[]): void {
  const keyed = new Map<string, globalThis.Node>();
  for (const child of parent.childNodes) {
    const key = made.get(child)?.key;
    if (key !== undefined) keyed.set(key, child);
  }
  wanted.forEach((node, n) => {
    const there = parent.childNodes[n];
    const reused = typeof node !== 'string' && node.key !== undefined ? keyed.get(node.key) : there;
    if (reused && fits(reused, node)) {
      if (reused !== there) parent.insertBefore(reused, there ?? null);
      update(reused, node);
    } else {
      parent.insertBefore(create(node), there ?? null);
      if (there && typeof node !== 'string' && node.key === undefined && !hasKey(there)) there.remove();
    }
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild?.remove();
}

const hasKey = (node: globalThis.Node): boolean => made.get(node)?.key !== undefined;

function fits(existing: globalThis.Node, node: View | string): boolean {
  if (typeof node === 'string') return existing.nodeType === globalThis.Node.TEXT_NODE;
  const from = made.get(existing);
  return from?.tag === node.tag && from.key === node.key;
}

function create(node: View | string): globalThis.Node {
  if (typeof node === 'string') return document.createTextNode(node);
  const element = SVG_TAGS.has(node.tag)
    ? document.createElementNS(SVG, node.tag)
    : document.createElement(node.tag);
  update(element, node);
  return element;
}

function update(existing: globalThis.Node, node: View | string): void {
  if (typeof node === 'string') {
    if (existing.textContent !== node) existing.textContent = node;
    return;
  }
  const element = existing as HTMLElement;
  const before = made.get(element)?.properties ?? {};
  made.set(element, node);
  render(element, node.children);
  for (const name of Object.keys(before)) if (!(name in node.properties)) set(element, name, undefined);
  for (const [name, value] of Object.entries(node.properties)) set(element, name, value, before[name]);
}

function set(element: HTMLElement, name: string, value: unknown, before?: unknown): void {
  if (name === 'key') return;
  if (name === 'style') {
    for (const [property, text] of Object.entries((value ?? {}) as Record<string, string>)) {
      element.style.setProperty(property, text);
    }
  } else if (name.startsWith('on')) {
    if (value !== before) (element as unknown as Record<string, unknown>)[name] = value ?? null;
  } else if (LIVE.has(name)) {
    const live = element as unknown as Record<string, unknown>;
    if (live[name] !== value) live[name] = value ?? (name === 'value' ? '' : false);
  } else if (value === undefined || value === false) {
    element.removeAttribute(name);
  } else if (value !== before) {
    element.setAttribute(name, value === true ? '' : String(value));
  }
}
