// Chromium without a window, the viewer in it, and what tests ask of both.
import { chromium } from 'playwright-core';

const SWITCHES = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
];

export async function launch(more = []) {
  // `headless: false` keeps Playwright from adding its own switches; the first of ours does it.
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: false,
    args: [...SWITCHES, ...more],
  });
}

/** A page that waits long, has no tour, and keeps its errors. */
export async function newPage(context) {
  const page = await context.newPage();
  // A crowded computer is no failure.
  page.setDefaultTimeout(180_000);
  page.setDefaultNavigationTimeout(180_000);
  // The viewer's tour for first visitors covers the page.
  await page.addInitScript(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('.shepherd-modal-overlay-container, .shepherd-element { display: none !important }');
    document.adoptedStyleSheets = [sheet];
  });
  page.errors = [];
  page.on('pageerror', error => page.errors.push(error.message));
  return page;
}

/** Opens a study, and waits for its first image. */
export async function openStudy(context, origin, study, { mode = 'viewer', query = '' } = {}) {
  const page = await newPage(context);
  await page.goto(`${origin}/${mode}?StudyInstanceUIDs=${study}${query}`);
  await firstImage(page);
  return page;
}

export async function firstImage(page) {
  const hasImage = () =>
    window.cornerstone?.getRenderingEngines?.()?.[0]?.getViewports()?.[0]?.getImageData?.() !== undefined;
  await page.waitForFunction(hasImage, null, { timeout: 240_000 });
}

/** Clicks without waiting for the page to hold still: software rendering of four panes never does. */
export async function press(page, name) {
  await page.locator(`[data-cy=${name}]:not([disabled])`).first().dispatchEvent('click', {}, { timeout: 180_000 });
}

/** Opens the panel by the toolbar's button. */
export async function openPanel(page) {
  await press(page, 'VesaliusButton');
  await page.locator('vesalius-panel').waitFor({ state: 'attached' });
}

/** Waits for a state of the connection. */
export async function connected(page, state = 'ready', seconds = 120) {
  await page
    .locator(`[data-cy=vesalius-status][data-state=${state}]`)
    .waitFor({ timeout: seconds * 1000 });
}

/** Presses the button, and waits for a result or a sentence why not. */
export async function segment(page, seconds = 300) {
  const before = await page.locator('[data-cy=vesalius-result]').count();
  await press(page, 'vesalius-run');
  return finished(page, before, seconds);
}

export async function finished(page, before = 0, seconds = 300) {
  const notice = page.locator('[data-cy=vesalius-notice]');
  const result = page.locator('[data-cy=vesalius-result]').nth(before);
  await result.or(notice).first().waitFor({ timeout: seconds * 1000 });
  return (await notice.count()) ? await notice.innerText() : undefined;
}

/** Labels as the viewer holds them: image or frame, as compare.py names them -> one byte a pixel, in base64, of the newest segmentation. */
export async function labelsShown(page) {
  return page.evaluate(() => {
    const { segmentationService } = window.services;
    const all = segmentationService.getSegmentations();
    const newest = all[all.length - 1];
    const slices = {};
    for (const id of newest.representationData.Labelmap.imageIds) {
      const image = window.cornerstone.cache.getImage(id);
      const instance = window.cornerstone.metaData.get('instance', image.referencedImageId);
      const pixels = image.voxelManager.getScalarData();
      let text = '';
      for (let n = 0; n < pixels.length; n += 8192) text += String.fromCharCode(...pixels.subarray(n, n + 8192));
      const [, frame] = image.referencedImageId.match(/(?:frames\/|frame=)(\d+)/) ?? [];
      slices[instance.SOPInstanceUID + (instance.NumberOfFrames > 1 ? `#${frame}` : '')] = btoa(text);
    }
    const names = {};
    for (const segment of Object.values(newest.segments)) names[segment.segmentIndex] = segment.label;
    return { id: newest.segmentationId, slices, names };
  });
}

/** Names and colours of the newest segmentation, for each pane that shows it. */
export async function panes(page) {
  return page.evaluate(() => {
    const { segmentationService, viewportGridService } = window.services;
    const all = segmentationService.getSegmentations();
    const id = all[all.length - 1]?.segmentationId;
    const out = {};
    for (const pane of viewportGridService.getState().viewports.keys()) {
      const found = segmentationService.getSegmentationRepresentations(pane, { segmentationId: id });
      out[pane] = found.map(({ type, segments }) => ({
        type,
        colors: Object.fromEntries(
          Object.entries(segments).map(([n, segment]) => [n, [...(segment.color ?? [])].slice(0, 3)]),
        ),
      }));
    }
    return out;
  });
}

/** Shows the DICOM SEG of the study's list in place of all that is shown; false where the list has none. */
export async function showSaved(page) {
  return page.evaluate(async () => {
    const { displaySetService, segmentationService, viewportGridService } = window.services;
    const set = displaySetService.getActiveDisplaySets().find(({ Modality, load }) => Modality === 'SEG' && load);
    if (!set) return false;
    for (const { segmentationId } of segmentationService.getSegmentations()) segmentationService.remove(segmentationId);
    await set.load({ headers: {} });
    await segmentationService.addSegmentationRepresentation(viewportGridService.getActiveViewportId(), {
      segmentationId: set.displaySetInstanceUID,
      type: 'Labelmap',
    });
    return true;
  });
}
