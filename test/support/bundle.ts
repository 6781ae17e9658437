import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');
const bundles = new Map<string, Promise<string>>();

/**
 * The path of a program that runs in a process of its own, bundled from the sources once per test process: it starts in a fifth of
 * the time that its modules one by one would take. `entry`: below the folder of the project.
 */
export async function bundled(entry: string): Promise<string> {
  const known = bundles.get(entry) ?? bundle(entry);
  bundles.set(entry, known);
  return known;
}

async function bundle(entry: string): Promise<string> {
  // Below node_modules, so that the packages with native parts are found from there.
  const folder = path.join(ROOT, 'node_modules/.cache/gpu-lease-test');
  await mkdir(folder, { recursive: true });
  const name = entry.replace(/\.m?[jt]s$/, '').replaceAll('/', '-');
  const file = path.join(folder, `${name}.mjs`);
  const draft = path.join(folder, `${name}-${process.pid}.mjs`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile: draft,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['ssh2', 'libsql', '@lydell/node-pty'],
    banner: {
      js: "import{createRequire as __gplRequire}from'node:module';const require=__gplRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  // Other test processes may be starting it right now: they see the old bundle or the new one.
  await rename(draft, file);
  return file;
}
