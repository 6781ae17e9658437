import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/core/errors.ts';

/** Left may import right. A folder may always import itself. Files of src itself stand above all folders. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  providers: ['core'],
  sessions: ['core'],
  store: ['core'],
  pod: ['core'],
  sandbox: ['core'],
  leases: ['core'],
  jobs: ['core'],
  files: ['core'],
  transfer: ['core'],
  health: ['core'],
  watcher: ['core'],
  tools: ['core'],
  mcp: ['core', 'tools'],
  cli: ['core', 'tools'],
};
/** Each outside package has one home. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  zod: Object.keys(LAYERS),
  '@modelcontextprotocol/server': ['mcp'],
  '@modelcontextprotocol/node': ['mcp'],
  '@modelcontextprotocol/client': ['cli'],
  ssh2: ['sessions', 'pod'],
  libsql: ['store'],
  kysely: ['store'],
  '@lydell/node-pty': ['pod'],
  'p-retry': ['providers'],
  undici: ['providers'],
  graphql: ['sandbox'],
  'graphql-request': ['providers'],
  'tar-stream': ['files'],
  ignore: ['files'],
  picomatch: ['files'],
  'jsonc-parser': ['cli'],
  'smol-toml': ['cli'],
};
const MAX_LINES = 250;
/** The two programs and the reader of the settings: nobody else looks at the environment. */
const ENTRIES = ['config.ts', 'main.ts', path.join('pod', 'main.ts')];

const root = path.resolve(import.meta.dirname, '../../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }));
const inFolders = files.filter(({ file }) => file.includes(path.sep));

const layerOf = (file: string): string => file.split(path.sep)[0] ?? '';
const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');

it.each(inFolders)('$file imports only what its layer may', ({ file, text }) => {
  const layer = layerOf(file);
  const statements =
    /^(?:import|export)\s[^;'"]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm;
  for (const [, named, bare, lazy] of text.matchAll(statements)) {
    const from = named ?? bare ?? lazy ?? '';
    if (from.startsWith('node:') || builtinModules.includes(from)) continue;
    if (from.startsWith('.')) {
      const target = layerOf(path.relative(root, path.resolve(root, path.dirname(file), from)));
      expect([layer, ...(LAYERS[layer] ?? [])], `${file} imports ${from}`).toContain(target);
    } else {
      expect(HOMES[packageOf(from)] ?? [], `${file} imports ${from}`).toContain(layer);
    }
  }
});

it.each(files)('$file is short and plain', ({ file, text }) => {
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_LINES);
  expect(text).not.toMatch(/export default|\bconsole\.\w+\(/);
  expect(text).not.toMatch(/\b(?:TODO|FIXME|XXX)\b/);
  if (!ENTRIES.includes(file)) expect(text).not.toMatch(/process\.env|from 'node:process'/);
});

it.each(ERROR_CODES.map((code) => ({ code })))('somebody throws $code', ({ code }) => {
  const thrown = files.some(
    ({ file, text }) => file !== path.join('core', 'errors.ts') && text.includes(`'${code}'`),
  );
  expect(thrown || code === 'internal').toBe(true);
});
