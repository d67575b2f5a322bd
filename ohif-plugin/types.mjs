// Writes src/api.ts: the server's JSON as types, as far as it is used, from the API's document that the server's own tests
// keep true.
// `node types.mjs --check` only says whether it is up to date.
import { readdir, readFile, writeFile } from 'node:fs/promises';

const DOCUMENT = new URL('../tests/golden/openapi.json', import.meta.url);
const TYPES = new URL('src/api.ts', import.meta.url);
const SIMPLE = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean', null: 'null' };

/** A schema as an expression of a type. */
function type(schema) {
  if (schema.$ref) return schema.$ref.split('/').pop();
  if (schema.enum) return schema.enum.map(value => `'${value}'`).join(' | ');
  if (schema.oneOf) return schema.oneOf.map(type).join(' | ');
  if (schema.allOf) return schema.allOf.map(part).join(' & ');
  const kinds = [schema.type ?? 'object'].flat();
  return kinds.map(kind => SIMPLE[kind] ?? (kind === 'array' ? list(schema) : record(schema))).join(' | ');
}

/** What is put into another object, field by field: all of it, or, where that may be null, nothing. */
function part(schema) {
  const some = schema.oneOf?.filter(({ type }) => type !== 'null');
  return some && some.length < schema.oneOf.length ? `Partial<${type(some[0])}>` : type(schema);
}

function list({ items = {}, prefixItems, minItems, maxItems }) {
  if (prefixItems) return `[${prefixItems.map(type).join(', ')}]`;
  const item = type(items);
  if (minItems > 0 && minItems === maxItems) return `[${Array(minItems).fill(item).join(', ')}]`;
  return /[|&]/.test(item) ? `(${item})[]` : `${item}[]`;
}

function record({ properties, additionalProperties, required = [] }) {
  if (!properties) {
    return typeof additionalProperties === 'object'
      ? `Record<string, ${type(additionalProperties)}>`
      : 'unknown';
  }
  const fields = Object.entries(properties).map(([name, schema]) => {
    const isOptional = !required.includes(name);
    return `${comment(schema, '  ')}  ${name}${isOptional ? '?' : ''}: ${type(schema)};\n`;
  });
  return `{\n${fields.join('')}}`;
}

function comment({ description, oneOf = [] }, indent = '') {
  const text = description ?? oneOf.find(({ description }) => description)?.description;
  return text ? `${indent}/** ${text.replaceAll('*/', '').replace(/\s+/g, ' ')} */\n` : '';
}

/** Names of types that the plugin's own files import. */
async function imported() {
  const folder = new URL('src/', import.meta.url);
  const names = (await readdir(folder, { recursive: true })).filter(
    name => name.endsWith('.ts') && name !== 'api.ts',
  );
  const texts = await Promise.all(names.map(name => readFile(new URL(name, folder), 'utf8')));
  return texts.flatMap(text => {
    const [, listed = ''] = /import type \{([^}]*)\} from '[./]*api\.ts'/.exec(text) ?? [];
    const dotted = text.includes("* as api from './api.ts'") ? text.matchAll(/\bapi\.([A-Z]\w*)/g) : [];
    return [...listed.split(',').map(name => name.trim()), ...[...dotted].map(([, name]) => name)].filter(
      Boolean,
    );
  });
}

const { components, paths } = JSON.parse(await readFile(DOCUMENT, 'utf8'));
// Without a name in the document: what the list of tasks holds.
const { items: Task } = paths['/v1/tasks'].get.responses['200'].content['application/json'].schema;
const schemas = { ...components.schemas, Task };
const used = new Set(await imported());
for (const name of used) {
  if (!schemas[name]) throw new Error(`the API has no type \`${name}\``);
  const within = JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g);
  for (const [, other] of within) used.add(other);
}
const types = [...used]
  .sort()
  .map(name => `${comment(schemas[name])}export type ${name} = ${type(schemas[name])};\n`);
const head =
  '// What the sidecar takes and answers. Made by `npm run types` from tests/golden/openapi.json: change it there.\n\n';
const text = head + types.join('\n');
if (process.argv.includes('--check')) {
  if ((await readFile(TYPES, 'utf8')) !== text) throw new Error('src/api.ts is out of date: npm run types');
} else {
  await writeFile(TYPES, text);
}
