// Bundles the server and the embedded pod. Packages with native parts stay outside and load on first use.
import { chmod, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { build } from 'esbuild';

/** zod's fifty languages are a third of its code, and every start would read them. */
const englishOnly = {
  name: 'english-only',
  setup(on) {
    on.onResolve({ filter: /locales\/index\.js$/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === 'asked' || !/[\\/]zod[\\/]/.test(from.importer)) return undefined;
      const { path: index } = await on.resolve(path, { ...from, pluginData: 'asked' });
      return { path: index, namespace: 'english-only' };
    });
    on.onLoad({ filter: /.*/, namespace: 'english-only' }, ({ path }) => ({
      contents: "export { default as en } from './en.js';",
      resolveDir: dirname(path),
    }));
  },
};

const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
const root = new URL('..', import.meta.url).pathname;

await rm(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/main.ts', pod: 'src/pod/main.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  plugins: [englishOnly],
  platform: 'node',
  target: 'node20',
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'linked',
  external: Object.keys(manifest.dependencies),
  // Its main file is UMD, whose inner requires no bundler sees.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
  define: { GPU_LEASE_VERSION: JSON.stringify(manifest.version) },
  banner: {
    js: "import{createRequire as __gplRequire}from'node:module';const require=__gplRequire(import.meta.url);",
  },
  chunkNames: 'chunks/[name]-[hash]',
});
await chmod(`${root}dist/main.js`, 0o755);
