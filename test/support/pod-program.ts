import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');
let building: Promise<readonly string[]> | undefined;

/** The argv that starts the pod program, bundled from the sources once per test process. */
export async function podProgram(): Promise<readonly string[]> {
  building ??= bundle();
  return building;
}

async function bundle(): Promise<readonly string[]> {
  // Below node_modules, so that the packages with native parts are found from there.
  const folder = path.join(ROOT, 'node_modules/.cache/gpu-lease-test');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, 'pod.mjs');
  const draft = path.join(folder, `pod-${process.pid}.mjs`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/pod/main.ts'],
    outfile: draft,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['ssh2', '@lydell/node-pty'],
    logLevel: 'error',
  });
  // Other test processes may be starting pods right now: they see the old bundle or the new one.
  await rename(draft, file);
  if (!existsSync(file)) throw new Error('The pod program was not built.');
  return [process.execPath, file];
}
