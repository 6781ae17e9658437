import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { CancelledError, RemoteError } from '../../src/core/errors.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Remote, StreamOptions } from '../../src/core/remote.ts';
import { createFiles } from '../../src/files/files.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { type LinkShape, startDelayProxy } from '../support/delay-proxy.ts';
import { startSshd } from '../support/sshd.ts';
import { call, fetchRequest, jobsOf, treeOf } from '../unit/files/harness.ts';

/* How a fetch over real OpenSSH follows the link that it measures. */

interface Stream {
  readonly script: string;
  readonly lane: number | undefined;
  readonly windowBytes: number | undefined;
  /** That came over it. */
  bytes: number;
}
interface Bench extends AsyncDisposable {
  readonly out: string;
  readonly results: string;
  readonly streams: readonly Stream[];
  readonly cut: () => Promise<void>;
  fetch(): Promise<unknown>;
}

/** `stand` answers for some of them; undefined: as it is. */
async function openBench(
  shape: LinkShape,
  {
    onBytes,
    stand,
  }: {
    readonly onBytes?: (bytes: number) => void;
    readonly stand?: (options: StreamOptions) => (() => Promise<never>) | undefined;
  } = {},
): Promise<Bench> {
  const sshd = await startSshd();
  const proxy = await startDelayProxy(sshd.endpoint.port, shape);
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'lanes-')));
  const workspace = path.join(root, 'workspace');
  const out = path.join(root, 'pod/out');
  await mkdir(workspace);
  await mkdir(out, { recursive: true });
  const endpoint = { ...sshd.endpoint, port: proxy.port, workFolder: path.join(root, 'pod') };
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: path.join(root, 'home'),
    redactor: new Redactor(),
  });
  const streams: Stream[] = [];
  const { remote } = ssh;
  const watched: Remote = {
    exec: async (...parameters) => remote.exec(...parameters),
    stream: async (podId, script, options: StreamOptions) => {
      const { lane, windowBytes } = options;
      const stream: Stream = { script, lane, windowBytes, bytes: 0 };
      streams.push(stream);
      const instead = stand?.(options);
      if (instead !== undefined) return instead();
      const { stdout } = options;
      const write = stdout?.write.bind(stdout);
      if (stdout !== undefined && write !== undefined)
        stdout.write = (chunk: Buffer, ...rest: unknown[]): boolean => {
          stream.bytes += chunk.length;
          onBytes?.(stream.bytes);
          return Reflect.apply(write, stdout, [chunk, ...rest]) as boolean;
        };
      return remote.stream(podId, script, options);
    },
    workFolder: async (...parameters) => remote.workFolder(...parameters),
    disconnect: async (...parameters) => remote.disconnect(...parameters),
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  };
  const files = createFiles({
    remote: watched,
    store: createMemoryStore(),
    jobs: jobsOf(() => []),
    clock: systemClock,
    home: path.join(root, 'home'),
    workspace,
  });
  return {
    out,
    streams,
    results: path.join(workspace, 'results/out'),
    cut: async () => {
      await sshd.cut();
    },
    fetch: async () => files.fetch(fetchRequest({ podId: endpoint.podId, verify: 'hash' }), call),
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await sshd[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

const random = async (file: string, mebi: number): Promise<void> =>
  writeFile(file, randomBytes(mebi << 20));

it('a long link gets a larger window and lanes of its own; the ranges make one file', async () => {
  await using bench = await openBench({ rttMs: 150 });
  await random(path.join(bench.out, 'big.xyz'), 160);
  await random(path.join(bench.out, 'second.xyz'), 5);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams[0]).toMatchObject({ windowBytes: 8 << 20 });
  expect(new Set(bench.streams.map(({ lane }) => lane)).size).toBeGreaterThan(1);
}, 60_000);

it('a short link gets one stream and the usual window', async () => {
  await using bench = await openBench({ rttMs: 0, bytesPerSecond: 60e6 });
  await random(path.join(bench.out, 'big.xyz'), 48);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams).toHaveLength(1);
}, 60_000);

it('text over a slow link is compressed once that is measured, what does not shrink is not', async () => {
  await using bench = await openBench({ rttMs: 5, bytesPerSecond: 4e6 });
  const lines = Array.from(
    { length: 1_200_000 },
    (_, step) => `step ${step} loss ${1 / (step + 1)}\n`,
  );
  await writeFile(path.join(bench.out, 'train.log'), lines.join(''));
  await random(path.join(bench.out, 'weights.safetensors'), 3);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams.map(({ script }) => script.includes('gzip'))).toContain(true);
}, 60_000);

it('a link that breaks while several lanes run costs no byte', async () => {
  let cuts = 0;
  let cut: () => Promise<void> = async () => Promise.resolve();
  await using bench = await openBench(
    { rttMs: 150 },
    {
      onBytes(bytes) {
        if (cuts > 0 || bench.streams.length < 2 || bytes < 8 << 20) return;
        cuts += 1;
        void cut();
      },
    },
  );
  cut = bench.cut;
  await random(path.join(bench.out, 'big.xyz'), 160);
  await bench.fetch();
  expect(cuts).toBe(1);
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(await readdir(path.dirname(path.dirname(bench.results)))).toEqual(['results']);
}, 90_000);

it('over a slow link much leaves the connection that commands go over, and one more carries it', async () => {
  await using bench = await openBench({ rttMs: 60, bytesPerSecond: 20e6 });
  await random(path.join(bench.out, 'big.xyz'), 100);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  const carried = bench.streams.map(({ lane = 0, bytes }) => [lane, bytes >> 20]);
  expect(Object.fromEntries(carried)).toMatchObject({ 2: 0, 3: 0, 4: 0 });
  const own = bench.streams.find(({ lane }) => lane === 1);
  expect(own?.bytes).toBeGreaterThan(30 << 20);
}, 60_000);

it.each([
  ['hang', async (signal: AbortSignal): Promise<never> => refusedWhenAborted(signal)],
  [
    'are refused',
    async (): Promise<never> =>
      Promise.reject(new RemoteError('ssh_unreachable', 'No more connections.')),
  ],
])(
  'logins that %s hold up nobody',
  async (_how, outcome) => {
    await using bench = await openBench(
      { rttMs: 150 },
      {
        stand: ({ lane = 0, signal }) => (lane === 0 ? undefined : async () => outcome(signal)),
      },
    );
    await random(path.join(bench.out, 'big.xyz'), 160);
    await bench.fetch();
    expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
    expect(bench.streams.filter(({ lane = 0 }) => lane > 0).length).toBeGreaterThan(0);
  },
  60_000,
);

async function refusedWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new CancelledError('cancelled', 'Cancelled.'));
    });
  });
}
