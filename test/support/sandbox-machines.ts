import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import { podIdSchema } from '../../src/core/ids.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { poll } from '../../src/core/poll.ts';
import type { Provider } from '../../src/core/provider.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import {
  createMachines,
  type MachineSpec,
  type MachineState,
  type SandboxMachines,
} from '../../src/sandbox/machines.ts';
import { makeClientKey } from './embedded-pod.ts';
import { podProgram } from './pod-program.ts';

export interface MachinesFixture extends AsyncDisposable {
  readonly machines: SandboxMachines;
  readonly pods: Provider;
  readonly folder: string;
  /** The path of a key, and its line for authorized_keys. */
  newKey(name: string): Promise<{ readonly keyPath: string; readonly line: string }>;
  spec(changes?: Partial<MachineSpec>): MachineSpec;
  /** Waits until the machine is in this state. */
  until(id: string, status: MachineState['status']): Promise<MachineState>;
}

export const RTX_4090 = {
  name: 'RTX 4090',
  count: 2,
  vramMib: 24_564,
  driver: '570.124.04',
  cuda: '12.8',
  computeCapability: '8.9',
} as const;

/** Real machines of a sandbox in a folder of their own. Dispose ends them and looks that nothing is left. */
export async function openMachines(deadlineSeconds?: number): Promise<MachinesFixture> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-machines-'));
  const pods = createLocalProvider({
    home: folder,
    podProgram: await podProgram(),
    clock: systemClock,
  });
  const machines = createMachines({
    pods,
    folder,
    clock: systemClock,
    searchPath: process.env['PATH'] ?? '/usr/bin:/bin',
    ...(deadlineSeconds === undefined ? {} : { deadlineSeconds }),
  });
  const { signal } = new AbortController();
  return {
    machines,
    pods,
    folder,
    async newKey(name) {
      const keyPath = path.join(folder, name);
      return { keyPath, line: await makeClientKey(keyPath) };
    },
    spec: (changes = {}) => ({
      id: '1',
      label: 'machine',
      authorizedKeys: [],
      env: {},
      gpu: RTX_4090,
      ...changes,
    }),
    async until(id, status) {
      const { signal } = new AbortController();
      const found = await poll(
        async () => {
          const state = await machines.look(id);
          return state.status === status ? state : undefined;
        },
        { clock: systemClock, signal, timeoutSeconds: 30, everySeconds: 0.05 },
      );
      if (found === undefined) throw new Error(`The machine never was ${status}.`);
      return found;
    },
    async [Symbol.asyncDispose]() {
      await machines[Symbol.asyncDispose]();
      const left = await pods.listPods({ signal });
      await rm(folder, { recursive: true, force: true });
      if (left.length > 0) throw new Error('Machines are left behind.');
    },
  };
}

/** Where the OpenSSH client finds a machine that runs. */
export function endpointOf({ host = '', port = 0 }: MachineState, keyPath: string): SshEndpoint {
  return {
    podId: podIdSchema.parse('vast:1'),
    host,
    port,
    user: 'root',
    route: 'direct',
    keyPath,
  };
}
