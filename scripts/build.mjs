// Bundles the server, the thread that moves its files, and the embedded pod. Packages with native parts stay outside and load on first use.
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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

if (process.argv.includes('--clean')) await rm(`${root}dist`, { recursive: true, force: true });
const { outputFiles } = await build({
  write: false,
  absWorkingDir: root,
  entryPoints: {
    main: 'src/main.ts',
    pod: 'src/pod/main.ts',
    'transfer-worker': 'src/transfer-worker.ts',
  },
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
  alias: {
    // Its main file is UMD, whose inner requires no bundler sees.
    'jsonc-parser': 'jsonc-parser/lib/esm/main.js',
    // Its main file is CommonJS, which a lazy import sees as one default export.
    graphql: 'graphql/index.mjs',
  },
  define: { GPU_LEASE_VERSION: JSON.stringify(manifest.version) },
  banner: {
    js: "import{createRequire as __gplRequire}from'node:module';const require=__gplRequire(import.meta.url);",
  },
  chunkNames: 'chunks/[name]-[hash]',
});
// A server that runs now still reads its own chunks, and another may start at any moment: each file is replaced whole, and
// what nothing names any more goes an hour later.
for (const { path, contents } of outputFiles) {
  await mkdir(dirname(path), { recursive: true });
  const half = `${path}.${process.pid}`;
  await writeFile(half, contents, { mode: path.endsWith('/dist/main.js') ? 0o755 : 0o644 });
  await rename(half, path);
}
await chmod(`${root}dist/main.js`, 0o755);
const made = new Set(outputFiles.map(({ path }) => path));
const hourAgo = Date.now() - 3_600_000;
for (const name of await readdir(`${root}dist`, { recursive: true })) {
  const path = join(`${root}dist`, name);
  const seen = await stat(path).catch(() => undefined);
  if (seen?.isFile() && !made.has(path) && seen.mtimeMs < hourAgo) await rm(path, { force: true });
}
