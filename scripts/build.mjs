// Bundles the server and the embedded pod. Packages with native parts stay outside and load on first use.
import { chmod, readFile, rm } from 'node:fs/promises';
import { build } from 'esbuild';

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
  platform: 'node',
  target: 'node20',
  minify: true,
  keepNames: true,
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
