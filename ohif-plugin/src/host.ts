// The part of OHIF and Cornerstone that this extension touches, as types. Nothing of either is bundled: all comes from
// the viewer at run time, from `servicesManager` and `getCornerstoneLibraries`.

/** DICOM metadata of one instance, naturalised: keywords instead of tags. */
export type Instance = Record<string, unknown> & { SOPInstanceUID: string; NumberOfFrames?: number };

/** A series, or a part of one, as OHIF shows it in a pane. */
export interface DisplaySet {
  displaySetInstanceUID: string;
  StudyInstanceUID: string;
  SeriesInstanceUID: string;
  SeriesNumber?: number | string;
  SeriesDescription?: string;
  Modality: string;
  FrameOfReferenceUID?: string;
  imageIds?: string[];
  instances?: Instance[];
  isOverlayDisplaySet?: boolean;
  isDerivedDisplaySet?: boolean;
  isDynamicVolume?: boolean;
  dynamicVolumeInfo?: { timePoints: string[][]; splittingTag: string };
  load?(options: { headers: Record<string, string> }): Promise<unknown>;
}

/** Where an image lies: millimetres, DICOM's patient axes (LPS+). */
export interface ImagePlane {
  rows: number;
  columns: number;
  imagePositionPatient: [number, number, number];
  rowCosines: [number, number, number];
  columnCosines: [number, number, number];
  rowPixelSpacing: number;
  columnPixelSpacing: number;
}

/** Arrays of samples as Cornerstone holds them. */
export type Samples =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array;

/** One slice in Cornerstone's cache. */
export interface CachedImage {
  imageId: string;
  referencedImageId?: string;
  slope?: number;
  intercept?: number;
  preScale?: { scaled?: boolean };
  /** Cornerstone's `ImageQualityStatus`; nothing where the whole image is there. */
  imageQualityStatus?: number;
  voxelManager: { getScalarData(): Samples };
}

/** A volume in Cornerstone's cache. `imageIds` are in the order of its slices. */
export interface CachedVolume {
  volumeId: string;
  imageIds: string[];
  loadStatus?: { loaded?: boolean };
  load(done?: () => void): void;
}

/** A pane as Cornerstone knows it. */
export interface Viewport {
  id: string;
  type?: string;
  element: HTMLElement;
  jumpToWorld?(world: [number, number, number]): void;
  getCamera?(): { viewPlaneNormal?: ArrayLike<number> & Iterable<number>; focalPoint?: Iterable<number> };
  worldToCanvas?(world: [number, number, number]): ArrayLike<number> & Iterable<number>;
  canvasToWorld?(canvas: [number, number]): ArrayLike<number>;
  render(): void;
}

export type Color = [number, number, number, number];

/** A step of the viewer's history. */
export interface Memo {
  restoreMemo(isUndo: boolean): void;
}

/** What Cornerstone says of the mouse. */
export interface MouseDetail {
  element: HTMLElement;
  currentPoints: { world: ArrayLike<number>; canvas: number[] };
  event: MouseEvent;
}

/** Tools of some panes. */
export interface ToolGroup {
  hasTool(name: string): boolean;
  addTool(name: string): void;
  setToolActive(name: string, options: { bindings: { mouseButton: number; modifierKey?: number }[] }): void;
  setToolPassive(name: string): void;
  setToolDisabled(name: string): void;
  getActivePrimaryMouseButtonTool(): string | undefined | null;
}

/** `@cornerstonejs/core` */
export interface Cornerstone {
  eventTarget: EventTarget;
  utilities: { HistoryMemo?: { DefaultHistoryMemo: { push(memo: Memo): void } } };
  cache: {
    getImage(id: string): CachedImage | undefined;
    getVolume(id: string): CachedVolume | undefined;
    getGeometry?(id: string): { data?: object } | undefined;
    removeGeometryLoadObject?(id: string): void;
  };
  geometryLoader?: {
    createAndCacheGeometry(id: string, options: { type: string; geometryData: object }): unknown;
  };
  metaData: { get(kind: string, imageId: string): unknown };
  imageLoader: { createAndCacheDerivedLabelmapImages(imageIds: string[]): CachedImage[] };
  volumeLoader: { createAndCacheVolume(id: string, options: { imageIds: string[] }): Promise<CachedVolume> };
  getRenderingEngines(): { id: string; getViewports(): Viewport[] }[] | undefined;
}

/** `@cornerstonejs/tools` */
export interface CornerstoneTools {
  BaseTool: new (properties: object, defaults: object) => object;
  Enums: { Events: Record<string, string> & { MOUSE_DRAG: string; MOUSE_UP: string; MOUSE_CLICK: string } };
  ToolGroupManager: { getToolGroupForViewport(viewportId: string, engineId: string): ToolGroup | undefined };
  addTool(tool: unknown): void;
  utilities?: { segmentation?: { triggerSegmentationRender?(viewportId: string): void } };
  segmentation: {
    triggerSegmentationEvents: { triggerSegmentationDataModified(segmentationId: string): void };
    /** Where versions up to 3.14 keep it. */
    triggerSegmentationRender?(viewportId: string): void;
    state: {
      addColorLUT(colors: Color[]): number;
      getSegmentation(id: string): { representationData: Record<string, unknown> } | undefined;
      getSegmentationRepresentations(
        viewportId: string,
        filter: { segmentationId: string },
      ): (Representation & { segments?: Record<number, { visible: boolean }> })[];
    };
    config: { color: { setColorLUT(viewportId: string, segmentationId: string, index: number): void } };
  };
}

export interface Representation {
  segmentationId: string;
  type: string;
  colorLUTIndex?: number;
}

/** One segment of OHIF's segmentation. */
export interface SegmentEntry {
  segmentIndex: number;
  label: string;
  locked: boolean;
  active: boolean;
  cachedStats: Record<string, unknown>;
  algorithmType: 'AUTOMATIC';
  algorithmName: string;
}

export interface SegmentationService {
  EVENTS: Record<string, string>;
  subscribe(event: string, listener: () => void): { unsubscribe(): void };
  getSegmentation(id: string): unknown;
  addOrUpdateSegmentation(segmentation: {
    segmentationId: string;
    representation: {
      type: 'Labelmap';
      data: { imageIds: string[]; referencedImageIds: string[]; referencedVolumeId?: string };
    };
    config: {
      label: string;
      fallbackLabel: string;
      segments: Record<number, SegmentEntry>;
      cachedStats: { info: string };
    };
  }): void;
  addSegmentationRepresentation(
    viewportId: string,
    options: { segmentationId: string; type?: string; config?: { colorLUTOrIndex: number } },
  ): Promise<unknown>;
  getSegmentationRepresentations(viewportId: string, filter: { segmentationId: string }): Representation[];
  getViewportIdsWithSegmentation(segmentationId: string): string[];
  setActiveSegmentation(viewportId: string, segmentationId: string): void;
  setActiveSegment(segmentationId: string, index: number): void;
  setSegmentVisibility(
    viewportId: string,
    segmentationId: string,
    index: number,
    visible: boolean,
    type?: string,
  ): void;
  jumpToSegmentCenter(segmentationId: string, index: number, viewportId?: string): void;
  remove?(segmentationId: string): void;
  /** Colours for panes that get a segmentation later. Private, and without a public twin up to 3.14. */
  _segmentationIdToColorLUTIndexMap?: Map<string, number>;
}

export interface GridViewport {
  displaySetInstanceUIDs?: string[];
}

/** A series that a data source knows of. */
export interface FoundSeries {
  seriesInstanceUid?: string;
  modality?: string;
}

export interface DataSource {
  getConfig?(): { name?: string; wadoRoot?: string; omitQuotationForMultipartRequest?: boolean };
  getImageIdsForDisplaySet?(displaySet: DisplaySet): string[];
  query?: { series?: { search(studyUid: string): Promise<FoundSeries[]> } };
  store?: { dicom(file: ArrayBuffer): Promise<unknown> };
  retrieve?: {
    series?: {
      metadata(query: {
        StudyInstanceUID: string;
        filters?: { seriesInstanceUID: string[] };
      }): Promise<unknown>;
    };
  };
  deleteStudyMetadataPromise?(key: string): void;
}

export interface Services {
  viewportGridService: {
    EVENTS: Record<string, string>;
    subscribe(event: string, listener: () => void): { unsubscribe(): void };
    getActiveViewportId(): string;
    getDisplaySetsUIDsForViewport(id: string): string[] | undefined;
    getState(): { viewports: Map<string, GridViewport> };
  };
  displaySetService: {
    getDisplaySetByUID(id: string): DisplaySet | undefined;
    getDisplaySetsForSeries(seriesUid: string): DisplaySet[];
    getActiveDisplaySets(): DisplaySet[];
  };
  segmentationService: SegmentationService;
  toolbarService: {
    register?(buttons: unknown[]): void;
    addButtons?(buttons: unknown[]): void;
    updateSection?(section: string, buttons: string[]): void;
    createButtonSection?(section: string, buttons: string[]): void;
  };
  workflowStepsService?: {
    EVENTS: Record<string, string>;
    subscribe(event: string, listener: () => void): { unsubscribe(): void };
  };
  panelService: {
    getPanels(side: string): { id: string }[];
    addPanel(side: string, id: string): void;
    activatePanel(id: string, force?: boolean): void;
  };
  userAuthenticationService: { getAuthorizationHeader(): Record<string, string> | undefined };
  uiNotificationService: {
    show(notice: {
      title: string;
      message: string;
      type: 'success' | 'error' | 'info';
      duration?: number;
    }): void;
  };
}

export interface ExtensionManager {
  getModuleEntry(id: string): { exports?: unknown; component?(props: object): unknown } | undefined;
  getActiveDataSource(): DataSource[];
  /** Its entry in the viewer's configuration. */
  getActiveDataSourceDefinition?(): { namespace?: string } | undefined;
}

/** What OHIF hands to an extension. */
export interface HostParameters {
  servicesManager: { services: Services };
  extensionManager: ExtensionManager;
  commandsManager?: { runCommand(name: string): unknown };
  appConfig?: Record<string, unknown>;
  configuration?: Record<string, unknown>;
}

/** The viewer that this extension runs in. */
export class Host {
  readonly services: Services;
  readonly extensions: ExtensionManager;
  private readonly commands: HostParameters['commandsManager'];

  constructor(parameters: HostParameters) {
    this.services = parameters.servicesManager.services;
    this.extensions = parameters.extensionManager;
    this.commands = parameters.commandsManager;
  }

  /** The viewer's own copies of Cornerstone. */
  libraries(): { cornerstone: Cornerstone; cornerstoneTools: CornerstoneTools } {
    const utilities = this.extensions.getModuleEntry('@ohif/extension-cornerstone.utilityModule.common');
    const exported = utilities?.exports as
      | { getCornerstoneLibraries(): { cornerstone: Cornerstone; cornerstoneTools: CornerstoneTools } }
      | undefined;
    if (!exported) throw new Error('This viewer has no `@ohif/extension-cornerstone`.');
    return exported.getCornerstoneLibraries();
  }

  dataSource(): DataSource | undefined {
    return this.extensions.getActiveDataSource()[0];
  }

  /** Runs a command of the viewer, such as `undo`. */
  run(command: string): void {
    this.commands?.runCommand(command);
  }

  /** Header that the viewer signs its own requests with; empty where it needs none. */
  authorization(): Record<string, string> {
    return this.services.userAuthenticationService.getAuthorizationHeader() ?? {};
  }
}
