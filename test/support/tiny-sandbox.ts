import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import type { SandboxOptions } from '../../src/core/sandbox.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import { createSandboxProgram, type OpenSandbox } from '../../src/sandbox/sandbox.ts';
import { TINY } from './tiny-cloud.ts';

export interface TinySandbox extends AsyncDisposable {
  readonly folder: string;
  open(options?: SandboxOptions): Promise<OpenSandbox>;
}

/** Sandboxes with one tiny cloud, all in one folder. `pod`: the argv of the pod program. Dispose ends those that still run. */
export async function tinySandboxes(pod: readonly string[], given?: string): Promise<TinySandbox> {
  const folder = given ?? (await mkdtemp(path.join(tmpdir(), 'gpu-lease-sandbox-')));
  const opened: OpenSandbox[] = [];
  const sandboxes = createSandboxProgram({
    clouds: [TINY],
    folder,
    podsIn: (home) => createLocalProvider({ home, podProgram: pod, clock: systemClock }),
    clock: systemClock,
    searchPath: process.env['PATH'] ?? '/usr/bin:/bin',
  });
  return {
    folder,
    async open(options = {}) {
      const sandbox = await sandboxes.open(options);
      opened.push(sandbox);
      return sandbox;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map(async (sandbox) => sandbox.end()));
      if (given === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
