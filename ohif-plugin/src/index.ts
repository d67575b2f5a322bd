// Vesalius in OHIF: an extension that adds a toolbar button and a side panel to every mode. One file, no framework, no
// fork; docs/ohif.md says how to load it.

import { App } from './app.ts';
import { readConfiguration } from './configuration.ts';
import { type ExtensionManager, Host, type HostParameters } from './host.ts';
import { BUTTON_TAG, defineButton } from './view/button.ts';
import { definePanel, PANEL_TAG } from './view/panel.ts';

declare const VERSION: string;

const ID = '@vesalius/ohif-extension';
const PANEL_ID = `${ID}.panelModule.vesalius`;
const BUTTON_ID = 'Vesalius';

let host: Host | undefined;
let app: App | undefined;
let subscriptions: { unsubscribe(): void }[] = [];

/** An element as the viewer's own copy of React makes it, without having one: the mark is taken from one of its own. */
function element(type: string): object {
  const mark = reactMark(host?.extensions) ?? Symbol.for('react.element');
  return { $$typeof: mark, type, key: null, ref: null, props: {}, _owner: null, _store: {} };
}

function reactMark(extensions: ExtensionManager | undefined): symbol | undefined {
  try {
    const entry = extensions?.getModuleEntry('@ohif/extension-cornerstone.viewportModule.cornerstone');
    return (entry?.component?.({}) as { $$typeof?: symbol } | undefined)?.$$typeof;
  } catch {
    return undefined;
  }
}

/** Adds button and panel. A mode wipes its toolbar when it is entered, so this runs each time. */
function install({ services }: Host): void {
  const { toolbarService, panelService } = services;
  const button = { id: BUTTON_ID, uiType: 'vesalius.button', props: { label: 'Vesalius' } };
  (toolbarService.register ?? toolbarService.addButtons)?.call(toolbarService, [button]);
  (toolbarService.updateSection ?? toolbarService.createButtonSection)?.call(toolbarService, 'primary', [
    BUTTON_ID,
  ]);
  if (!panelService.getPanels('right').some(({ id }) => id === PANEL_ID))
    panelService.addPanel('right', PANEL_ID);
}

/** Follows the active pane, segmentations that go in other ways, and steps of a mode, each with a toolbar of its own. */
function follow(viewer: Host, { look, changed }: { look(): void; changed(): void }): void {
  const { viewportGridService: grid, segmentationService: segmentations } = viewer.services;
  const { workflowStepsService: steps } = viewer.services;
  const listen = (
    service: {
      EVENTS: Record<string, string>;
      subscribe(event: string, listener: () => void): { unsubscribe(): void };
    },
    names: string[],
    listener: () => void,
  ): void => {
    for (const name of names) {
      const event = service.EVENTS[name];
      if (event) subscriptions.push(service.subscribe(event, listener));
    }
  };
  listen(grid, ['ACTIVE_VIEWPORT_ID_CHANGED', 'GRID_STATE_CHANGED', 'VIEWPORTS_READY'], look);
  listen(segmentations, ['SEGMENTATION_REMOVED'], changed);
  if (steps) listen(steps, ['ACTIVE_STEP_CHANGED'], () => install(viewer));
}

export default {
  id: ID,
  version: typeof VERSION === 'string' ? VERSION : '0',

  preRegistration(parameters: HostParameters): void {
    const configuration = readConfiguration(parameters.appConfig?.vesalius, parameters.configuration);
    const viewer = new Host(parameters);
    const reveal = (): void => viewer.services.panelService.activatePanel(PANEL_ID, true);
    const made = new App(viewer, configuration, reveal);
    definePanel(made);
    defineButton(() => {
      reveal();
      void made.connect();
    });
    [host, app] = [viewer, made];
  },

  getPanelModule(): object[] {
    return [
      {
        name: 'vesalius',
        iconName: 'ToolSegmentAnything',
        iconLabel: 'Vesalius',
        label: 'Vesalius',
        component: () => element(PANEL_TAG),
      },
    ];
  },

  getToolbarModule(): object[] {
    return [{ name: 'vesalius.button', defaultComponent: () => element(BUTTON_TAG) }];
  },

  onModeEnter(): void {
    const [viewer, state] = [host, app];
    if (!viewer || !state) return;
    // The mode registers its own toolbar and panels after this, in the same turn.
    queueMicrotask(() => {
      install(viewer);
      follow(viewer, { look: () => state.look(), changed: () => state.changed() });
      state.enter();
      void state.connect();
    });
  },

  onModeExit(): void {
    for (const { unsubscribe } of subscriptions) unsubscribe();
    subscriptions = [];
    app?.leave();
  },
};
