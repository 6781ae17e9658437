import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');
let building: Promise<string> | undefined;

/** The program of the transfer thread, bundled from the sources once per test process. */
export async function transferProgram(): Promise<string> {
  building ??= bundle();
  return building;
}

async function bundle(): Promise<string> {
  // Below node_modules, so that the packages with native parts are found from there.
  const folder = path.join(ROOT, 'node_modules/.cache/gpu-lease-test');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, 'transfer-worker.mjs');
  const draft = path.join(folder, `transfer-worker-${process.pid}.mjs`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/transfer-worker.ts'],
    outfile: draft,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['ssh2', 'libsql'],
    banner: {
      js: "import{createRequire as __gplRequire}from'node:module';const require=__gplRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  // Other test processes may be starting threads right now: they see the old bundle or the new one.
  await rename(draft, file);
  return file;
}
