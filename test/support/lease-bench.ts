import type { Gate } from '../../src/core/files.ts';
import type { Job } from '../../src/core/job.ts';
import { type Terms, termsSchema } from '../../src/core/lease.ts';
import type { Reach } from '../../src/core/machine.ts';
import type { Answer, Ask, Pods } from '../../src/core/pods.ts';
import type { ExecResult, Remote } from '../../src/core/remote.ts';
import type { Store } from '../../src/core/store.ts';
import type { PodsDeps } from '../../src/leases/deps.ts';
import type { Limits } from '../../src/leases/limits.ts';
import { createPods } from '../../src/leases/pods.ts';
import type { PodCare } from '../../src/leases/tend.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { ManualClock } from './clock.ts';
import {
  createFakeProvider,
  type FakeProvider,
  type FakeProviderOptions,
} from './fake-provider.ts';

export interface LeaseBench {
  readonly pods: Pods & PodCare;
  readonly store: Store;
  readonly cloud: FakeProvider;
  readonly clock: ManualClock;
  readonly signal: AbortSignal;
  /** What the pod would answer. `ssh` undefined: it lets us in. */
  readonly world: BenchWorld;
  /** Questions that were asked, with the answer given to each. */
  readonly asked: string[];
  readonly options: { readonly signal: AbortSignal; readonly ask: Ask };
  create(changes?: Partial<Terms>, waitSeconds?: number): ReturnType<Pods['create']>;
}
export interface BenchWorld {
  answer: Answer;
  ssh: Error | undefined;
  gpuLines: readonly string[];
  /** How far a plain connection to a port comes. Default: as `ssh` says. */
  reach: ((port: number) => Reach) | undefined;
  /** Ports that were knocked at. */
  readonly probed: number[];
  /** How often a login was tried. */
  logins: number;
  /** Really runs the scripts that write to the pod. Default: they print nothing. */
  run: ((script: string) => string) | undefined;
  /** How many such scripts there were. */
  runs: number;
  /** `df` of the pod: total and free kB, and inodes. */
  diskLines: readonly string[];
  /** What `nvidia-smi` tells of the use of the GPUs. */
  gpuUse: string;
  /** A command runs in a session. */
  isSessionBusy: boolean;
  gates: readonly Gate[];
  /** Pods that take every call and never answer one, whatever its signal says. */
  readonly silent: Set<string>;
  jobs: readonly Job[];
  /** What was asked of sessions, jobs and remote before a pod ended. */
  readonly farewells: string[];
}
export interface BenchOptions {
  readonly limits?: Limits;
  readonly cloud?: Omit<Partial<FakeProviderOptions>, 'clock'>;
  readonly provider?: FakeProvider;
  readonly store?: Store;
  readonly clock?: ManualClock;
  readonly processId?: string;
  readonly isAlive?: (processId: string) => boolean;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly redact?: (text: string) => string;
  /** What is done, and by whom, when nobody asked. */
  readonly care?: Pick<PodsDeps, 'rescue' | 'isLeftToOthers' | 'actor' | 'isWatched'>;
  readonly receiptsFolder?: string;
}

export function someTerms(changes: Partial<Terms> = {}): Terms {
  return termsSchema.parse({
    offerIds: ['vast:a'],
    diskGb: 64,
    env: {},
    secretEnv: [],
    ports: [],
    ttlMinutes: 360,
    onExpiry: 'destroy',
    maxAttempts: 3,
    ...changes,
  });
}

/** Real leases over a fake cloud, on a clock turned by hand. What runs on the pod is answered by `world`. */
export function createLeaseBench(options: BenchOptions = {}): LeaseBench {
  const clock = options.clock ?? new ManualClock();
  const store = options.store ?? createMemoryStore();
  const cloud = options.provider ?? createFakeProvider({ clock, ...options.cloud });
  const { signal } = new AbortController();
  const world: BenchWorld = {
    answer: 'accepted',
    ssh: undefined,
    gpuLines: ['NVIDIA GeForce RTX 4090, 24564'],
    reach: undefined,
    probed: [],
    logins: 0,
    run: undefined,
    runs: 0,
    diskLines: ['diskKb=104857600 94371840', 'inodes=6553600 6000000'],
    gpuUse: '0\n',
    isSessionBusy: false,
    gates: [],
    silent: new Set(),
    jobs: [],
    farewells: [],
  };
  const asked: string[] = [];
  const ask: Ask = async ({ message }) => {
    asked.push(message);
    return Promise.resolve(world.answer);
  };
  const deps: PodsDeps = {
    ...options.care,
    store,
    providers: new Map([[cloud.name, cloud]]),
    clock,
    limits: options.limits ?? {},
    processId: options.processId ?? 'this',
    isAlive: options.isAlive ?? ((id) => id === (options.processId ?? 'this')),
    secrets: { value: (name) => options.secrets?.[name] },
    identity: { keyPath: '/keys/id', publicKey: async () => Promise.resolve('ssh-ed25519 AAAA') },
    probe: {
      reach: async ({ port }) => {
        world.probed.push(port);
        if (world.reach !== undefined) return Promise.resolve(world.reach(port));
        return Promise.resolve(isSilent(world.ssh) ? 'closed' : 'ssh');
      },
    },
    redact: options.redact,
    receiptsFolder: options.receiptsFolder,
    remote: remoteOf(world),
    sessions: {
      hasBusy: async () => Promise.resolve(world.isSessionBusy),
      closePod: async () => {
        world.farewells.push('sessions');
        return Promise.resolve();
      },
    } as Partial<PodsDeps['sessions']> as PodsDeps['sessions'],
    jobs: {
      collectLogs: async (podId) => {
        world.farewells.push('logs');
        return answerOf(world, podId);
      },
      refresh: async () => Promise.resolve(world.jobs),
      list: async () => Promise.resolve(world.jobs),
    } as Partial<PodsDeps['jobs']> as PodsDeps['jobs'],
    files: {
      gates: async (podId) => {
        await answerOf(world, podId);
        return world.gates;
      },
    } as Partial<PodsDeps['files']> as PodsDeps['files'],
  };
  const pods = createPods(deps);
  return {
    pods,
    store,
    cloud,
    clock,
    signal,
    world,
    asked,
    options: { signal, ask },
    async create(changes = {}, waitSeconds = 25) {
      return pods.create({ terms: someTerms(changes), waitSeconds }, { signal, ask });
    },
  };
}

function remoteOf(world: BenchWorld): Remote {
  return {
    exec: async (podId, script) => {
      await answerOf(world, podId);
      const token = /^printf %s (\w+)$/.exec(script)?.[1];
      if (token !== undefined) world.logins += 1;
      if (world.ssh !== undefined) throw world.ssh;
      if (script.startsWith('umask 077')) {
        world.runs += 1;
        return Promise.resolve(resultOf(world.run?.(script) ?? ''));
      }
      if (script.includes('utilization.gpu')) return Promise.resolve(resultOf(world.gpuUse));
      const facts = ['vcpu=16', 'memKb=67108864', ...world.diskLines];
      const gpus = world.gpuLines.map((line) => `gpu=${line}`);
      const text = token ?? (script.includes('nvidia-smi') ? gpus : facts).join('\n');
      return Promise.resolve(resultOf(text));
    },
    stream: async () => Promise.reject(new Error('not in this bench')),
    workFolder: async () => Promise.resolve('/workspace'),
    disconnect: async () => {
      world.farewells.push('disconnect');
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  };
}

async function answerOf({ silent }: BenchWorld, podId: string): Promise<void> {
  if (silent.has(podId)) await new Promise(() => undefined);
}

const isSilent = (failure: Error | undefined): boolean =>
  failure !== undefined && 'code' in failure && failure.code === 'ssh_unreachable';

function resultOf(text: string): ExecResult {
  return { exitCode: 0, stdout: Buffer.from(text), stderr: Buffer.alloc(0), droppedBytes: 0 };
}
