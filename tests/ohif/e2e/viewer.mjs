// A stock viewer on a port of this computer: the dist as published, our app-config, our plugin, and the archive behind
// `/dicom-web`, so that the page has one origin.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';

const TYPES = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.html': 'text/html',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Where the plugin lies, as docs/ohif.md tells administrators. */
export const PLUGIN_PATH = '/plugins/@vesalius/ohif-extension/0.1.0/index.js';

/** The app-config of the tests; the five lines are those of docs/ohif.md. */
export function appConfig({ plugin = PLUGIN_PATH, settings = {}, source = 'dicomweb' } = {}) {
  return `window.config = {
  name: 'tests', routerBasename: null, modes: [], customizationService: [], showStudyList: true,
  maxNumberOfWebWorkers: 2, showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  showLoadingIndicator: true, strictZSpacingForVolumeViewport: true, groupEnabledModesFirst: true,
  investigationalUseDialog: { option: 'never' }, maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
  extensions: [{
    id: 'vesalius-loader',
    async preRegistration({ extensionManager }) {
      const { default: vesalius } = await import('${plugin}');
      await extensionManager.registerExtension(vesalius, ${JSON.stringify(settings)});
    },
  }],
  defaultDataSourceName: '${source}',
  dataSources: [
    { namespace: '@ohif/extension-default.dataSourcesModule.dicomlocal', sourceName: 'dicomlocal',
      configuration: { friendlyName: 'local files' } },
    { namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb', configuration: {
      friendlyName: 'Orthanc', name: 'orthanc', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true } },
  ],
};`;
}

/** A certificate that no browser trusts without being told to. */
function certificate(folder) {
  const [key, cert] = ['key.pem', 'certificate.pem'].map(name => path.join(folder, name));
  if (!fs.existsSync(cert)) {
    const name = ['-subj', '/CN=viewer.hospital.example', '-addext', 'subjectAltName=DNS:viewer.hospital.example'];
    const what = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync('openssl', [...what, ...name, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  }
  return { key: fs.readFileSync(key), cert: fs.readFileSync(cert) };
}

/**
 * Serves; `proxy` passes paths that begin with a key on to `{port, headers, drop}`. Gives `{origin, close, config, headers,
 * refuses}`: the last is asked whether a request is forbidden.
 */
export async function serveViewer({ dist, plugin, proxy, secure }) {
  const state = { config: appConfig(), headers: {} };
  const answer = (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const name = decodeURIComponent(url.pathname);
    for (const [key, value] of Object.entries(state.headers)) response.setHeader(key, value);
    if (state.refuses?.(request)) {
      response.statusCode = 403;
      return response.end();
    }
    const prefix = Object.keys(proxy).find(key => name.startsWith(key));
    if (prefix) return pass(request, response, proxy[prefix], prefix);
    if (name === '/app-config.js') {
      response.setHeader('Content-Type', TYPES['.js']);
      return response.end(state.config);
    }
    if (name.startsWith('/plugins/')) return file(response, name === PLUGIN_PATH ? plugin : undefined);
    const wanted = path.join(dist, path.normalize(name));
    return file(response, isFile(wanted) ? wanted : path.join(dist, 'index.html'));
  };
  const server = secure ? https.createServer(certificate(secure), answer) : http.createServer(answer);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  state.port = server.address().port;
  state.origin = `http${secure ? 's' : ''}://127.0.0.1:${state.port}`;
  state.close = () => new Promise(resolve => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return state;
}

function isFile(name) {
  return fs.statSync(name, { throwIfNoEntry: false })?.isFile() ?? false;
}

function file(response, name) {
  if (!name || !isFile(name)) {
    response.statusCode = 404;
    return response.end();
  }
  response.setHeader('Content-Type', TYPES[path.extname(name)] ?? 'application/octet-stream');
  response.setHeader('Cache-Control', 'no-cache');
  return fs.createReadStream(name).pipe(response);
}

/** Passes a request on. `drop` names headers that the program behind must not see. */
function pass(request, response, target, prefix) {
  const { port, headers = {}, drop = [], strip = false } = typeof target === 'function' ? target() : target;
  const sent = { ...request.headers, host: `127.0.0.1:${port}`, ...headers };
  for (const name of drop) delete sent[name];
  const name = strip ? request.url.slice(prefix.length) : request.url;
  const options = { host: '127.0.0.1', port, path: name, method: request.method, headers: sent };
  const onwards = http.request(options, answer => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
    // Piping does not pass on that the program behind broke off in the middle; every real web server does.
    answer.on('close', () => answer.complete || response.destroy());
  });
  onwards.on('error', () => {
    if (!response.headersSent) response.writeHead(502);
    response.end();
  });
  request.pipe(onwards);
  response.on('close', () => onwards.destroy());
}
