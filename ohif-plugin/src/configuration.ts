// What the administrator of a viewer may set, in app-config. Never anything from the address bar: a link must not choose
// where images are sent.

/** How images reach the sidecar. */
const TRANSPORTS = ['auto', 'reference', 'relay', 'voxels'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface Configuration {
  /**
   * Where the sidecar answers. Left out: 127.0.0.1, at the port that the pairing code named. A path such as `/vesalius`
   * is one that the viewer's own web server passes on.
   */
  url?: string;
  /**
   * `reference` lets the sidecar fetch the series, where that allows it, `relay` sends DICOM as the archive gives it,
   * `voxels` what the viewer holds; `auto` takes what is allowed.
   */
  transport: Transport;
}

/** The port of a sidecar that nobody told otherwise. */
export const USUAL_PORT = 38917;

/** Reads the settings, from `registerExtension(extension, {...})` or from `vesalius: {...}` in app-config. */
export function readConfiguration(...sources: unknown[]): Configuration {
  const merged: Record<string, unknown> = Object.assign({}, ...sources.filter(isRecord));
  const wanted = merged.transport ?? 'auto';
  const transport = TRANSPORTS.find(known => known === wanted);
  if (!transport) {
    throw new Error(`\`transport\` is \`${String(wanted)}\`, expected ${TRANSPORTS.join(', ')}`);
  }
  const url = merged.url;
  if (url === undefined) return { transport };
  if (typeof url !== 'string' || !isAllowed(url)) {
    throw new Error(`\`url\` is \`${String(url)}\`, expected http://127.0.0.1:PORT, or a path of this site`);
  }
  return { url: url.replace(/\/+$/, ''), transport };
}

/** Images go to this computer or to the viewer's own site, and to nobody else. */
function isAllowed(url: string): boolean {
  return /^http:\/\/127\.0\.0\.1:\d{1,5}\/?$/.test(url) || /^\/(?!\/)[\w./-]*$/.test(url);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
