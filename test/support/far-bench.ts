import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import { CancelledError, RemoteError } from '../../src/core/errors.ts';
import type { SyncRequest, SyncResult } from '../../src/core/files.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Remote, StreamOptions } from '../../src/core/remote.ts';
import { createFiles } from '../../src/files/files.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { call, jobsOf } from '../unit/files/harness.ts';
import { type LinkShape, startDelayProxy } from './delay-proxy.ts';
import { fetchOf, syncOf } from './file-requests.ts';
import { startSshd } from './sshd.ts';

interface Stream {
  readonly script: string;
  readonly lane: number | undefined;
  readonly windowBytes: number | undefined;
  /** That came over it. */
  bytes: number;
}
interface FarBench extends AsyncDisposable {
  readonly workspace: string;
  /** The work folder of the pod. */
  readonly pod: string;
  readonly out: string;
  readonly results: string;
  readonly streams: readonly Stream[];
  readonly cut: () => Promise<void>;
  fetch(): Promise<unknown>;
  sync(request: Partial<SyncRequest>): Promise<SyncResult>;
}

/** Files of a real OpenSSH pod behind a link of that shape, and what streams they use. `stand` answers for some of them; undefined: as it is. */
export async function openFarBench(
  shape: LinkShape,
  {
    onBytes,
    stand,
  }: {
    readonly onBytes?: (bytes: number) => void;
    readonly stand?: (options: StreamOptions) => (() => Promise<never>) | undefined;
  } = {},
): Promise<FarBench> {
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
    workspace,
    pod: path.join(root, 'pod'),
    out,
    streams,
    results: path.join(workspace, 'results/out'),
    cut: async () => {
      await sshd.cut();
    },
    fetch: async () => files.fetch(fetchOf(endpoint.podId, { verify: 'hash' }), call),
    sync: async (request) => files.sync(syncOf(endpoint.podId, request), call),
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await sshd[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** A connection that never comes. */
export async function refusedWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new CancelledError('cancelled', 'Cancelled.'));
    });
  });
}

export async function refused(): Promise<never> {
  return Promise.reject(new RemoteError('ssh_unreachable', 'No more connections.'));
}
