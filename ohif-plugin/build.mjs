// Builds the one file that a viewer loads: `dist/index.js`, an ES module that imports nothing.
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';

const { version } = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8'));

await build({
  absWorkingDir: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
  entryPoints: ['src/index.ts'],
  outfile: 'dist/index.js',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  banner: { js: `// Vesalius for OHIF ${version}. Apache-2.0.` },
  define: { VERSION: JSON.stringify(version) },
});

const built = await readFile(new URL('dist/index.js', import.meta.url), 'utf8');
const left = built.match(/^\s*import\s[^(].*$|\bimport\(|\brequire\(/m);
if (left) throw new Error(`an import is left in dist/index.js: ${left[0].trim()}`);
