import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { SandboxBooks, SandboxOptions } from '../../src/core/sandbox.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import type { SandboxClock } from '../../src/sandbox/clock.ts';
import type { FaultBook } from '../../src/sandbox/faults.ts';
import type { SandboxMachines } from '../../src/sandbox/machines.ts';
import { createRunpodCloud, type RunpodCloud } from '../../src/sandbox/runpod/cloud.ts';
import { runpodCloud } from '../../src/sandbox/runpod/index.ts';
import type { RunpodOptions } from '../../src/sandbox/runpod/options.ts';
import { createSandboxProgram, type OpenSandbox } from '../../src/sandbox/sandbox.ts';
import { podProgram } from './pod-program.ts';

export interface RunpodSandboxOptions extends SandboxOptions {
  /** Switches of the fake RunPod itself. */
  readonly runpod?: Partial<RunpodOptions>;
  /** Real time, as it takes it. Default: that of the system. */
  readonly clock?: Clock;
}

export interface RunpodSandbox extends AsyncDisposable {
  readonly url: string;
  readonly graphqlUrl: string;
  readonly restV1Url: string;
  readonly restV2Url: string;
  readonly apiKey: string;
  /** RUNPOD_API_KEY and the three addresses. */
  readonly variables: Readonly<Record<string, string>>;
  readonly clock: SandboxClock;
  readonly faults: FaultBook;
  readonly cloud: RunpodCloud;
  readonly machines: SandboxMachines;
  readonly sandbox: OpenSandbox;
  /** Of RunPod alone. */
  books(): SandboxBooks['clouds'][number];
}

/**
 * A fake RunPod in this process, on a free port, in a folder of its own. Its machines are real embedded pods, or with
 * `machines: 'none'` nobody behind a port that refuses. Dispose ends the machines and looks that nothing is left.
 */
export async function startRunpodSandbox({
  runpod = {},
  clock = systemClock,
  ...options
}: RunpodSandboxOptions = {}): Promise<RunpodSandbox> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-runpod-'));
  const pods = options.machines === 'none' ? ['true'] : await podProgram();
  const made: RunpodCloud[] = [];
  const failures: unknown[] = [];
  const program = createSandboxProgram({
    clouds: [
      {
        ...runpodCloud,
        make(parts) {
          const cloud = createRunpodCloud({ ...parts, options: runpod });
          made.push(cloud);
          return cloud;
        },
      },
    ],
    folder,
    podsIn: (home) => createLocalProvider({ home, podProgram: pods, clock: systemClock }),
    clock,
    searchPath: process.env['PATH'] ?? '/usr/bin:/bin',
    onFailure: (failure) => failures.push(failure),
  });
  const sandbox = await program.open(options);
  const [cloud] = made;
  const [origin] = sandbox.origins;
  if (cloud === undefined || origin === undefined) throw new Error('There is no RunPod.');
  return {
    url: origin.url,
    graphqlUrl: `${origin.url}/graphql`,
    restV1Url: `${origin.url}/v1`,
    restV2Url: `${origin.url}/v2`,
    apiKey: cloud.options.apiKey,
    variables: origin.variables,
    clock: sandbox.clock,
    faults: sandbox.faults,
    cloud,
    machines: sandbox.machines,
    sandbox,
    books() {
      const [books] = sandbox.books().clouds;
      if (books === undefined) throw new Error('There are no books.');
      return books;
    },
    async [Symbol.asyncDispose]() {
      await sandbox.end();
      await rm(folder, { recursive: true, force: true });
      // A handler that threw answered 500, which a client may take for weather.
      if (failures.length > 0) throw new AggregateError(failures, 'The sandbox itself failed.');
    },
  };
}
