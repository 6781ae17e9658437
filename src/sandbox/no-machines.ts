import { createServer, type Server } from 'node:net';
import type { MachineState, SandboxMachines } from './machines.ts';

/** Machines that run at once and have nobody behind their port: for what is only about money. */
export function createNoMachines(): SandboxMachines {
  const states = new Map<string, 'running' | 'stopped'>();
  let port: Promise<number> | undefined;
  const set = async (id: string, status: 'running' | 'stopped'): Promise<void> => {
    if (states.has(id)) states.set(id, status);
    return Promise.resolve();
  };
  return {
    async start({ id }) {
      states.set(id, 'running');
      return Promise.resolve();
    },
    async look(id): Promise<MachineState> {
      const status = states.get(id);
      if (status === undefined) return { status: 'gone' };
      if (status === 'stopped') return { status };
      return { status, host: '127.0.0.1', port: await (port ??= closedPort()) };
    },
    stop: async (id) => set(id, 'stopped'),
    resume: async (id) => set(id, 'running'),
    restart: async (id) => set(id, 'running'),
    async destroy(id) {
      states.delete(id);
      return Promise.resolve();
    },
    authorize: async () => Promise.resolve(),
    bootLog: async () => Promise.resolve(''),
    async [Symbol.asyncDispose]() {
      states.clear();
      return Promise.resolve();
    },
  };
}

/** A port of this machine that refuses: it was free a moment ago. */
async function closedPort(): Promise<number> {
  const { server, port } = await listen(createServer());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listen(server: Server): Promise<{ readonly server: Server; readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('No port.'));
      else resolve({ server, port: address.port });
    });
  });
}
