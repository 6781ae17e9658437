import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { Files } from '../../src/core/files.ts';
import type { PodId } from '../../src/core/ids.ts';
import type { Jobs } from '../../src/core/job.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Store } from '../../src/core/store.ts';
import { createFiles } from '../../src/files/files.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type SshdOptions, startSshd, type TestSshd } from './sshd.ts';

/** What a server process of ours is made of. */
export interface Served extends AsyncDisposable {
  readonly ssh: ReturnType<typeof createSsh>;
  readonly files: Files;
  readonly jobs: Jobs;
}

/** Everything of ours that talks to a pod, over a link that can be broken, to a real OpenSSH server. */
export interface TransportBench extends Served {
  readonly sshd: TestSshd;
  readonly proxy: FaultProxy;
  readonly endpoint: SshEndpoint;
  readonly podId: PodId;
  readonly store: Store;
  readonly workspace: string;
  /** The folder on the pod that logins start in: on this machine too, as everything of the pod. */
  readonly podHome: string;
  /** Another server process: nothing shared but the store and the state folder. Ended with the bench. */
  another(): Served;
}
export interface TransportOptions extends SshdOptions {
  readonly keepaliveSeconds?: number;
  readonly clock?: Clock;
}

/** Real time, but pauses between tries are short. */
const hastyClock: Clock = {
  now: () => systemClock.now(),
  sleep: async (seconds, options) => systemClock.sleep(Math.min(seconds, 0.2), options),
};

export async function openTransport(options: TransportOptions = {}): Promise<TransportBench> {
  const sshd = await startSshd(options);
  const proxy = await startFaultProxy(() => sshd.endpoint.port);
  const root = await realpath(await mkdtemp(path.join(os.tmpdir(), 'gl-transport-')));
  const workspace = path.join(root, 'workspace');
  const home = path.join(root, 'state');
  await mkdir(path.join(workspace, 'project'), { recursive: true });
  const store = createMemoryStore();
  const clock = options.clock ?? hastyClock;
  const endpoint: SshEndpoint = {
    ...sshd.endpoint,
    port: proxy.port,
    workFolder: await realpath(sshd.home),
  };
  const served: Served[] = [];
  const another = (): Served => {
    const ssh = createSsh({
      machines: { endpoint: async () => Promise.resolve(endpoint) },
      store,
      clock,
      home,
      redactor: new Redactor(),
      ...(options.keepaliveSeconds === undefined
        ? {}
        : { keepaliveSeconds: options.keepaliveSeconds }),
    });
    const jobs = createJobs({
      remote: ssh.remote,
      store,
      clock,
      home,
      secrets: { value: () => undefined },
      diagnose: () => [],
      graceSeconds: 1,
    });
    const files = createFiles({ remote: ssh.remote, store, jobs, clock, home, workspace });
    const one: Served = {
      ssh,
      files,
      jobs,
      [Symbol.asyncDispose]: async () => ssh[Symbol.asyncDispose](),
    };
    served.push(one);
    return one;
  };
  const first = another();
  return {
    ...first,
    sshd,
    proxy,
    endpoint,
    podId: endpoint.podId,
    store,
    workspace,
    podHome: await realpath(sshd.home),
    another,
    async [Symbol.asyncDispose]() {
      for (const one of served) await one[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await sshd[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A call did not end within its own limit and ten seconds. */
export class Hung extends Error {}

/** Runs `work` with a signal; `limitSeconds` is what the call itself promises to end within. */
export async function within<T>(
  limitSeconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        reject(new Hung(`nothing came back within ${limitSeconds} + 10 s`));
        stop.abort();
      },
      (limitSeconds + 10) * 1000,
    );
  });
  try {
    return await Promise.race([work(stop.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
