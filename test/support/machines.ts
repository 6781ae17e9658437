import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import type { PodId } from '../../src/core/ids.ts';
import type { Machines, SshEndpoint } from '../../src/core/machine.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Store } from '../../src/core/store.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startEmbeddedPod } from './embedded-pod.ts';
import { startSshd } from './sshd.ts';

export interface TestMachine extends AsyncDisposable {
  readonly podId: PodId;
  readonly endpoint: SshEndpoint;
  readonly machines: Machines;
  readonly ssh: ReturnType<typeof createSsh>;
  readonly store: Store;
  /** Our state folder on this side. */
  readonly home: string;
  readonly redactor: Redactor;
  /** The home of a login on the machine. */
  readonly folderOnPod: string;
  /** Another server process: nothing shared but the store and the state folder. Ended with the machine. */
  another(): ReturnType<typeof createSsh>;
  /** Breaks every connection that is open now; new ones are accepted. */
  cut(): Promise<void>;
}
export interface MachineOptions {
  /** Variables of every login on the machine. */
  readonly env?: Readonly<Record<string, string>>;
}
export interface MachineKind {
  readonly name: string;
  readonly open: (options?: MachineOptions) => Promise<TestMachine>;
}

/** The two machines every promise about SSH must hold on. */
export const MACHINES: readonly MachineKind[] = [
  {
    name: 'OpenSSH',
    open: async ({ env = {} } = {}): Promise<TestMachine> => {
      const sshd = await startSshd({ env });
      return machineOf({
        endpoint: sshd.endpoint,
        folderOnPod: sshd.home,
        cut: async () => {
          await sshd.cut();
        },
        close: async () => sshd[Symbol.asyncDispose](),
      });
    },
  },
  {
    name: 'embedded pod',
    open: async ({ env = {} } = {}): Promise<TestMachine> => {
      const pod = await startEmbeddedPod({ env });
      return machineOf({
        endpoint: pod.endpoint,
        folderOnPod: pod.home,
        cut: async () => {
          pod.cutLinks();
          return Promise.resolve();
        },
        close: async () => pod[Symbol.asyncDispose](),
      });
    },
  },
];

async function machineOf({
  endpoint,
  folderOnPod,
  cut,
  close,
}: {
  endpoint: SshEndpoint;
  folderOnPod: string;
  cut: () => Promise<void>;
  close: () => Promise<void>;
}): Promise<TestMachine> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'gl-home-'));
  const store = createMemoryStore();
  const redactor = new Redactor();
  const machines: Machines = { endpoint: async () => Promise.resolve(endpoint) };
  const opened: ReturnType<typeof createSsh>[] = [];
  const another = (): ReturnType<typeof createSsh> => {
    const ssh = createSsh({ machines, store, clock: systemClock, home, redactor });
    opened.push(ssh);
    return ssh;
  };
  return {
    podId: endpoint.podId,
    endpoint,
    machines,
    ssh: another(),
    store,
    home,
    redactor,
    folderOnPod,
    another,
    cut,
    async [Symbol.asyncDispose]() {
      for (const ssh of opened) await ssh[Symbol.asyncDispose]();
      await close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
