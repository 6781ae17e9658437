import path from 'node:path';
import type { CallOptions, Clock } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import { offerIdSchema, type PodId, randomToken } from '../core/ids.ts';
import type { Provider, ProviderPod } from '../core/provider.ts';
import { keepAlive } from './keep-alive.ts';
import { furnish, type MachineFolder, readBootLog, writeKeys } from './machine-files.ts';
import { stateOf, untilGone } from './machine-state.ts';

export interface MachineSpec {
  /** The cloud's own id of the instance. */
  readonly id: string;
  readonly label: string;
  readonly authorizedKeys: readonly string[];
  /** What the container starts with: the boot script sees it, SSH sessions do not. */
  readonly env: Readonly<Record<string, string>>;
  /** Boot script; runs at every start, as a container's does. */
  readonly setup?: string;
  readonly gpu: MachineGpu;
  /** Nobody can log in, not even with a key that the boot script brings. */
  readonly refusesKeys?: boolean;
}
/** What the machine's `nvidia-smi` says. */
export interface MachineGpu {
  readonly name: string;
  readonly count: number;
  readonly vramMib: number;
  readonly driver: string;
  readonly cuda: string;
  /** "8.9". */
  readonly computeCapability?: string;
}
export interface MachineState {
  readonly status: 'starting' | 'running' | 'stopped' | 'failed' | 'gone';
  readonly host?: string;
  readonly port?: number;
}
/**
 * The machines behind every fake cloud. Orders answer as soon as they are accepted; `look` says what became of them.
 * Orders about a machine that is not there change nothing.
 */
export interface SandboxMachines extends AsyncDisposable {
  start(spec: MachineSpec): Promise<void>;
  look(id: string): Promise<MachineState>;
  stop(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  restart(id: string): Promise<void>;
  destroy(id: string): Promise<void>;
  /** The keys of the cloud that may log in from now on. Keys that somebody added on the machine stay. */
  authorize(id: string, keys: readonly string[]): Promise<void>;
  /** What the boot script printed until now. */
  bootLog(id: string): Promise<string>;
}

export interface MachinesDeps {
  /** Rents the embedded pods; keeps them below `folder`. */
  readonly pods: Provider;
  readonly folder: string;
  /** Real time. */
  readonly clock: Clock;
  /** PATH of the machines, behind the folder with their `nvidia-smi`. */
  readonly searchPath: string;
  /** How long a machine outlives a sandbox that was killed. */
  readonly deadlineSeconds?: number;
  readonly onFailure?: (failure: unknown) => void;
}

interface Machine {
  readonly podId: PodId;
  readonly files: MachineFolder;
  readonly refusesKeys: boolean;
  keys: readonly string[];
  /** The keys of ours that stand on the machine; `undefined`: none yet. */
  written: readonly string[] | undefined;
  /** Orders are done one after the other. */
  busy: Promise<void>;
  pending: number;
  wanted: 'run' | 'stop';
}

const DEADLINE_SECONDS = 600;

/** Machines that are real: embedded pods with an SSH server on loopback, a shell, a home, and a GPU that is only said to be there. */
export function createMachines(deps: MachinesDeps): SandboxMachines {
  const { pods, clock, folder } = deps;
  const deadlineSeconds = deps.deadlineSeconds ?? DEADLINE_SECONDS;
  const machines = new Map<string, Machine>();
  const ending = new Set<PodId>();
  const stopped = new AbortController();
  /** Orders are never taken back. A signal for each: one for all would gather listeners. */
  const now = (): CallOptions => ({ signal: new AbortController().signal });
  const deadlineAt = (): string =>
    new Date(clock.now().getTime() + deadlineSeconds * 1000).toISOString();
  const living = (): readonly PodId[] => [...machines.values()].map(({ podId }) => podId);
  const alive = keepAlive({
    clock,
    everySeconds: deadlineSeconds / 4,
    signal: stopped.signal,
    round: async () => {
      await Promise.all(
        living().map(async (podId) =>
          pods.deadlines?.setDeadline(podId, deadlineAt(), now()).catch(() => undefined),
        ),
      );
    },
  });

  /** Orders go on by themselves, one after the other: a cloud does not wait for them either. */
  const order = (
    id: string,
    wanted: Machine['wanted'],
    work: (machine: Machine) => Promise<void>,
  ): void => {
    const machine = machines.get(id);
    if (machine === undefined) return;
    machine.wanted = wanted;
    machine.pending += 1;
    machine.busy = machine.busy
      .then(async () => work(machine))
      .catch((failure: unknown) => {
        // Of a machine that was destroyed meanwhile nothing else can come.
        if (machines.get(id) === machine) deps.onFailure?.(failure);
      })
      .finally(() => {
        machine.pending -= 1;
      });
  };
  const bringKeys = async (machine: Machine, pod: ProviderPod | undefined): Promise<void> => {
    const { keys, written } = machine;
    const home = pod?.endpoint?.workFolder;
    if (home === undefined || written === keys || machine.refusesKeys) return;
    await writeKeys(home, written ?? [], keys);
    machine.written = keys;
  };
  const terminate = async (podId: PodId): Promise<void> => {
    ending.add(podId);
    await pods.terminatePod(podId, now());
  };

  return {
    async start(spec) {
      if (stopped.signal.aborted)
        throw new InputError('unsupported', 'The sandbox has ended: it starts no machines.');
      if (machines.has(spec.id))
        throw new InputError('invalid_input', `A machine with the id ${spec.id} is there already.`);
      const token = randomToken(12);
      const files = await furnish(path.join(folder, 'machines', token), spec.gpu);
      const pod = await pods.createPod(
        {
          offerId: offerIdSchema.parse('local:cpu'),
          label: `sandbox-${token}`,
          diskGb: 1,
          sshPublicKey: files.nobodysKey,
          maxUsdPerHour: 0,
          deadlineAt: deadlineAt(),
          onExpiry: 'destroy',
          env: { PATH: `${files.bin}:${deps.searchPath}` },
          ports: [],
          setup: files.bootScript(spec),
          setupEveryStart: true,
        },
        now(),
      );
      machines.set(spec.id, {
        podId: pod.podId,
        files,
        refusesKeys: spec.refusesKeys === true,
        keys: spec.authorizedKeys,
        written: undefined,
        busy: Promise.resolve(),
        pending: 0,
        wanted: 'run',
      });
    },
    async look(id) {
      const machine = machines.get(id);
      if (machine === undefined) return { status: 'gone' };
      const pod = await pods.getPod(machine.podId, now());
      await bringKeys(machine, pod);
      return stateOf(pod, machine);
    },
    async stop(id) {
      order(id, 'stop', async ({ podId }) => pods.power?.stopPod(podId, now()));
      return Promise.resolve();
    },
    async resume(id) {
      order(id, 'run', async ({ podId }) => {
        await pods.deadlines?.setDeadline(podId, deadlineAt(), now());
        await pods.power?.startPod(podId, now());
      });
      return Promise.resolve();
    },
    async restart(id) {
      order(id, 'run', async ({ podId }) => pods.power?.restartPod(podId, now()));
      return Promise.resolve();
    },
    async destroy(id) {
      const machine = machines.get(id);
      if (machine === undefined) return;
      machines.delete(id);
      await terminate(machine.podId);
      await machine.files.remove();
    },
    async authorize(id, keys) {
      const machine = machines.get(id);
      if (machine === undefined) return;
      machine.keys = keys;
      await bringKeys(machine, await pods.getPod(machine.podId, now()));
    },
    async bootLog(id) {
      const machine = machines.get(id);
      const pod = machine === undefined ? undefined : await pods.getPod(machine.podId, now());
      const home = pod?.endpoint?.workFolder;
      return home === undefined ? '' : readBootLog(home);
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await alive;
      const left = [...machines.values()];
      machines.clear();
      await Promise.all(left.map(async ({ podId }) => terminate(podId)));
      await untilGone([...ending], pods, clock);
      await Promise.all(left.map(async ({ files }) => files.remove()));
    },
  };
}
