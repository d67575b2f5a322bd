// What a correction hears while it goes on: voxels that the viewer's own tools change, the viewer's history, pointer, wheel
// and keys. What is done about it is not known here.

import type { Host } from './host.ts';

/** Time after the last change of a voxel until a stroke of the viewer's own tools counts as ended, in milliseconds. */
const SETTLED = 150;
/** Time that the pointer rests until what a click would do is shown, in milliseconds. */
const RESTED = 120;

/** What is done about it. */
export interface Heard {
  /** The viewer's own tools have changed voxels, and have ended. */
  painted(): void;
  /** The viewer's history has put voxels back by itself. */
  tookBack(action: 'undo' | 'redo'): void;
  /** Another tool was chosen. */
  toolChanged(): void;
  /** The pointer moves, in pixels of the window. */
  moved(event: PointerEvent): void;
  /** The pointer rests, and no button is pressed. */
  rested(event: PointerEvent): void;
  /** Gives `true` where the wheel was meant for the correction. */
  wheel(event: WheelEvent): boolean;
  /** Gives what a key does, if anything. */
  key(event: KeyboardEvent): (() => void) | undefined;
}

export class Hearing {
  private readonly ends: (() => void)[] = [];
  private settling: ReturnType<typeof setTimeout> | undefined;
  private resting: ReturnType<typeof setTimeout> | undefined;
  private isPressed = false;
  private isDeaf = false;

  constructor(
    host: Host,
    segmentationId: string,
    private readonly heard: Heard,
  ) {
    const { cornerstone, cornerstoneTools: tools } = host.libraries();
    const { SEGMENTATION_DATA_MODIFIED, HISTORY_UNDO, HISTORY_REDO, TOOL_ACTIVATED } = tools.Enums.Events;
    this.on(cornerstone.eventTarget, SEGMENTATION_DATA_MODIFIED, event => {
      const changed = (event as CustomEvent<{ segmentationId: string }>).detail.segmentationId;
      if (changed === segmentationId && !this.isDeaf) this.settle();
    });
    // The viewer's history has put voxels back by itself when it says so.
    for (const [name, action] of [
      [HISTORY_UNDO ?? 'CORNERSTONE_TOOLS_HISTORY_UNDO', 'undo'],
      [HISTORY_REDO ?? 'CORNERSTONE_TOOLS_HISTORY_REDO', 'redo'],
    ] as const) {
      this.on(cornerstone.eventTarget, name, event => {
        if ((event as CustomEvent<{ id?: string }>).detail.id !== segmentationId) return;
        clearTimeout(this.settling);
        heard.tookBack(action);
      });
    }
    this.on(cornerstone.eventTarget, TOOL_ACTIVATED, () => heard.toolChanged());
    this.on(document, 'pointerdown', () => this.press(true), true);
    this.on(document, 'pointerup', () => this.press(false), true);
    this.on(document, 'pointercancel', () => this.press(false), true);
    this.on(document, 'pointermove', event => this.move(event as PointerEvent));
    this.on(document, 'wheel', event => this.swallow(event, heard.wheel(event as WheelEvent)), true);
    this.on(document, 'keydown', event => this.key(event as KeyboardEvent), true);
  }

  /** Does something that is not to be heard. */
  unheard(work: () => void): void {
    this.isDeaf = true;
    work();
    this.isDeaf = false;
  }

  /** Listens no more. */
  end(): void {
    clearTimeout(this.settling);
    clearTimeout(this.resting);
    for (const end of this.ends) end();
  }

  private on(
    target: EventTarget,
    name: string | undefined,
    hear: (event: Event) => void,
    capture = false,
  ): void {
    if (!name) return;
    target.addEventListener(name, hear, { capture, passive: false });
    this.ends.push(() => target.removeEventListener(name, hear, { capture }));
  }

  private press(isPressed: boolean): void {
    this.isPressed = isPressed;
    clearTimeout(this.resting);
  }

  /** Waits for the end of a stroke of the viewer's own tools. */
  private settle(): void {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => (this.isPressed ? this.settle() : this.heard.painted()), SETTLED);
  }

  private move(event: PointerEvent): void {
    this.heard.moved(event);
    clearTimeout(this.resting);
    if (!this.isPressed) this.resting = setTimeout(() => this.heard.rested(event), RESTED);
  }

  private key(event: KeyboardEvent): void {
    const at = event.composedPath()[0] as Element | undefined;
    const isTyping = at?.matches?.('input, textarea, select');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    // Whoever goes through buttons by keys goes on.
    if (event.key === 'Tab' && at?.matches?.('button, a')) return;
    const act = this.heard.key(event);
    this.swallow(event, act !== undefined);
    act?.();
  }

  private swallow(event: Event, isOurs: boolean): void {
    if (!isOurs) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}
