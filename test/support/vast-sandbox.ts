import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { SandboxBooks, SandboxOptions } from '../../src/core/sandbox.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import type { SandboxClock } from '../../src/sandbox/clock.ts';
import type { FaultBook } from '../../src/sandbox/faults.ts';
import type { SandboxMachines } from '../../src/sandbox/machines.ts';
import { createSandboxProgram, type OpenSandbox } from '../../src/sandbox/sandbox.ts';
import { createVastCloud, type VastCloud } from '../../src/sandbox/vast/cloud.ts';
import { vastCloud } from '../../src/sandbox/vast/index.ts';
import type { VastOptions } from '../../src/sandbox/vast/options.ts';
import { MAIN } from './built-server.ts';
import { podProgram } from './pod-program.ts';

export interface VastSandboxOptions extends SandboxOptions {
  /** Switches of the fake Vast.ai itself. */
  readonly vast?: Partial<VastOptions>;
  /** Real time, as it takes it. Default: that of the system. */
  readonly clock?: Clock;
}

export interface VastSandbox extends AsyncDisposable {
  readonly url: string;
  readonly apiKey: string;
  readonly clock: SandboxClock;
  readonly faults: FaultBook;
  readonly cloud: VastCloud;
  readonly machines: SandboxMachines;
  readonly sandbox: OpenSandbox;
  /** Of Vast.ai alone. */
  books(): SandboxBooks['clouds'][number];
}

/**
 * A fake Vast.ai in this process, on a free port, in a folder of its own. Its machines are real embedded pods, or with
 * `machines: 'none'` nobody behind a port that refuses. Dispose ends the machines and looks that nothing is left.
 */
export async function startVastSandbox({
  vast = {},
  clock = systemClock,
  ...options
}: VastSandboxOptions = {}): Promise<VastSandbox> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-vast-'));
  const pods = options.machines === 'none' ? ['true'] : await podProgram();
  const made: VastCloud[] = [];
  const failures: unknown[] = [];
  const program = createSandboxProgram({
    clouds: [
      {
        ...vastCloud,
        make(parts) {
          const cloud = createVastCloud({ ...parts, options: vast });
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
  if (cloud === undefined || origin === undefined) throw new Error('There is no Vast.ai.');
  return {
    url: origin.url,
    apiKey: cloud.options.apiKey,
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

export interface SandboxProcess extends AsyncDisposable {
  readonly url: string;
  readonly apiKey: string;
  /** VAST_API_KEY and VAST_URL. */
  readonly variables: Readonly<Record<string, string>>;
  readonly child: ChildProcess;
  /** The folder of this run, below `home`. */
  readonly folder: string;
  readonly home: string;
  /** Every line it printed, parsed. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
  stderr(): string;
  books(): Promise<SandboxBooks['clouds'][number]>;
  /** One of the routes below `/_sandbox/`. */
  control(method: string, route: string, body?: unknown): Promise<unknown>;
  /** SIGKILL, as a crash. Its machines live on until their own deadline. */
  kill9(): Promise<void>;
  /** SIGINT, as Ctrl-C; answers the exit code. */
  interrupt(): Promise<number | null>;
}

/** `gpu-lease sandbox --json` in a process of its own; `args` go behind it. Dispose interrupts it and removes its home. */
export async function startSandboxProcess(
  args: readonly string[] = [],
  given?: { readonly home: string },
): Promise<SandboxProcess> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run "npm run build" first.');
  const home = given?.home ?? (await mkdtemp(path.join(tmpdir(), 'gpu-lease-sandbox-home-')));
  const child = spawn(process.execPath, [MAIN, 'sandbox', '--json', ...args], {
    env: { PATH: process.env['PATH'], HOME: home, GPU_LEASE_HOME: home },
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const events: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const started = new Promise<Record<string, unknown>>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as Record<string, unknown>;
      events.push(event);
      if (event['event'] === 'started') resolve(event);
    });
    void exit.then(() => {
      reject(new Error(`The sandbox ended before it had started: ${stderr}`));
    });
  });
  const { variables: all, folder } = (await started) as {
    variables: Record<string, string>;
    folder: string;
  };
  // The other clouds beside it are none of a client's business here.
  const variables = Object.fromEntries(
    Object.entries(all).filter(([name]) => name.startsWith('VAST_')),
  );
  const url = variables['VAST_URL'] ?? '';
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const control = async (method: string, route: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`${url}/_sandbox/${route}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const interrupt = async (): Promise<number | null> => {
    if (!hasEnded()) child.kill('SIGINT');
    await exit;
    return child.exitCode;
  };
  return {
    url,
    apiKey: variables['VAST_API_KEY'] ?? '',
    variables,
    child,
    folder,
    home,
    events,
    stderr: () => stderr,
    control,
    async books() {
      const { clouds } = (await control('GET', 'books')) as SandboxBooks;
      const books = clouds.find(({ cloud }) => cloud === 'vast');
      if (books === undefined) throw new Error('There are no books.');
      return books;
    },
    async kill9() {
      if (!hasEnded()) child.kill('SIGKILL');
      await exit;
    },
    interrupt,
    async [Symbol.asyncDispose]() {
      await interrupt();
      if (given === undefined) await rm(home, { recursive: true, force: true });
    },
  };
}
