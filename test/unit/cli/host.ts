import { PassThrough, Readable } from 'node:stream';
import type { CliHost, CliServices } from '../../../src/cli/command.ts';
import type { Clock } from '../../../src/core/call.ts';
import type { Pods } from '../../../src/core/pods.ts';
import type { Watcher } from '../../../src/core/watcher.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { createWatchLock } from '../../../src/watcher/lock.ts';
import { createWatcher } from '../../../src/watcher/watcher.ts';
import { ManualClock } from '../../support/clock.ts';

/** A process to run commands in: what was written to it can be read. */
export interface TestHost extends CliHost {
  readonly clock: ManualClock;
  written(): string;
  complaints(): string;
}

export function testHost(overrides: Partial<CliHost> = {}): TestHost {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const out: string[] = [];
  const err: string[] = [];
  stdout.on('data', (chunk: Buffer) => out.push(chunk.toString()));
  stderr.on('data', (chunk: Buffer) => err.push(chunk.toString()));
  return {
    stdin: Readable.from([]),
    stdout,
    stderr,
    interactive: false,
    colour: false,
    services: async () => Promise.reject(new Error('This command needs no services.')),
    sandbox: async () =>
      Promise.resolve({
        faultKinds: [{ kind: 'odd', summary: 'Something odd.', cloud: 'vast' }],
        open: async () => Promise.reject(new Error('This command starts no sandbox.')),
      }),
    verifier: async () => Promise.reject(new Error('This command checks no receipts.')),
    signal: new AbortController().signal,
    version: '1.2.3',
    nodePath: process.execPath,
    mainPath: '/opt/gpu-lease/dist/main.js',
    userHome: '/nowhere/home',
    stateFolder: '/nowhere/state',
    workingFolder: '/nowhere/project',
    platform: 'linux',
    ...overrides,
    clock: new ManualClock(),
    written: () => out.join(''),
    complaints: () => err.join(''),
  };
}

/** Services of which a test gives only the methods that its command may call. */
export function servicesOf(
  parts: {
    readonly [Port in keyof CliServices]?: Partial<CliServices[Port]>;
  },
): CliHost['services'] {
  return async () => Promise.resolve(parts as CliServices);
}

/** A watcher that has the lock and does its rounds over these pods. */
export function watcherOver(pods: Partial<Pods>, clock: Clock): Watcher {
  const store = createMemoryStore();
  const me = { holder: 'this', pid: 1, version: '1.2.3', reach: [] };
  const lock = createWatchLock({ store, clock, isAlive: () => true, me });
  return createWatcher({
    isOn: true,
    store,
    clock,
    lock,
    me,
    pods: pods as Pods,
    onFailure: () => undefined,
  });
}
