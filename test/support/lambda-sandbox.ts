import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { SandboxBooks, SandboxOptions } from '../../src/core/sandbox.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import type { SandboxClock } from '../../src/sandbox/clock.ts';
import type { FaultBook } from '../../src/sandbox/faults.ts';
import { createLambdaCloud, type LambdaCloud } from '../../src/sandbox/lambda/cloud.ts';
import { lambdaCloud } from '../../src/sandbox/lambda/index.ts';
import type { LambdaOptions } from '../../src/sandbox/lambda/options.ts';
import { createSandboxProgram, type OpenSandbox } from '../../src/sandbox/sandbox.ts';
import { podProgram } from './pod-program.ts';

export interface LambdaSandboxOptions extends SandboxOptions {
  /** Switches of the fake Lambda itself. */
  readonly lambda?: Partial<LambdaOptions>;
  /** Real time, as it takes it. Default: that of the system. */
  readonly clock?: Clock;
}
export interface LambdaSandbox extends AsyncDisposable {
  readonly url: string;
  readonly apiKey: string;
  readonly clock: SandboxClock;
  readonly faults: FaultBook;
  readonly cloud: LambdaCloud;
  readonly sandbox: OpenSandbox;
  /** Of Lambda alone. */
  books(): SandboxBooks['clouds'][number];
}

/**
 * A fake Lambda Cloud in this process, on a free port, in a folder of its own. Its machines are real embedded pods, or with
 * `machines: 'none'` nobody behind a port that refuses. Dispose ends the machines and looks that nothing is left.
 */
export async function startLambdaSandbox({
  lambda = {},
  clock = systemClock,
  ...options
}: LambdaSandboxOptions = {}): Promise<LambdaSandbox> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-lambda-'));
  const pods = options.machines === 'none' ? ['true'] : await podProgram();
  const made: LambdaCloud[] = [];
  const failures: unknown[] = [];
  const program = createSandboxProgram({
    clouds: [
      {
        ...lambdaCloud,
        make(parts) {
          const cloud = createLambdaCloud({ ...parts, options: lambda });
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
  if (cloud === undefined || origin === undefined) throw new Error('There is no Lambda.');
  return {
    url: origin.url,
    apiKey: cloud.options.apiKey,
    clock: sandbox.clock,
    faults: sandbox.faults,
    cloud,
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
