import { PassThrough, Readable } from 'node:stream';
import type { CliHost, CliServices } from '../../../src/cli/command.ts';
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
    workingFolder: '/nowhere/project',
    workspace: '/nowhere/project',
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
