// Runs the unit tests: each `*.test.ts` is bundled as the plugin is, then run by Node's own runner.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('.', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'vesalius-ohif-'));
const tests = readdirSync(folder).filter(name => name.endsWith('.test.ts'));
if (!tests.length) throw new Error('there are no tests');
await build({
  entryPoints: tests.map(name => join(folder, name)),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'inline',
  define: { VERSION: '"0.0.0"' },
});
const files = readdirSync(out).map(name => join(out, name));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], {
  stdio: 'inherit',
});
rmSync(out, { recursive: true });
process.exit(status ?? 1);
