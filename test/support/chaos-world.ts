import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/core/call.ts';
import { Disposer } from '../../src/core/disposer.ts';
import type { BookedInstance, FaultRule } from '../../src/core/sandbox.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import { createLambdaCloud } from '../../src/sandbox/lambda/cloud.ts';
import { LAMBDA_FAULTS } from '../../src/sandbox/lambda/fault-kinds.ts';
import { createRunpodCloud } from '../../src/sandbox/runpod/cloud.ts';
import { RUNPOD_FAULTS } from '../../src/sandbox/runpod/fault-kinds.ts';
import { createSandboxProgram } from '../../src/sandbox/sandbox.ts';
import { createVastCloud } from '../../src/sandbox/vast/cloud.ts';
import { VAST_FAULTS } from '../../src/sandbox/vast/fault-kinds.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { BuiltServer, processesBelow } from './built-server.ts';
import type { KilledCloud } from './cloud-kill.ts';
import { podProgram } from './pod-program.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import { watchedSandbox, watchersOf } from './watcher-process.ts';

const LOOK_EVERY_MILLISECONDS = 100;
/** What a machine is called that broke down by itself. */
const BROKEN = /^(?:exited|offline|unknown|frozen|stopped|error|unhealthy|preempted)$/i;

/** What the cloud's own books said of a machine while it lived. Milliseconds since the epoch. */
export interface Sighting {
  readonly podId: string;
  label: string | undefined;
  readonly createdAt: number;
  /** The last look at which anything was charged for it. */
  chargedAt: number;
  /** The last look at which it was there and was not ending. */
  livingAt: number;
  readonly states: string[];
  /** It broke, vanished or was killed: nobody of ours ended it. */
  isBroken: boolean;
}

export interface ChaosWorld extends AsyncDisposable {
  readonly home: string;
  readonly workspace: string;
  /** Files below it tell what jobs have made; jobs write there. */
  readonly witness: string;
  readonly sightings: ReadonlyMap<string, Sighting>;
  /** Failures of the fake clouds themselves. */
  readonly failures: readonly unknown[];
  start(isAuto?: boolean): Promise<BuiltServer>;
  livingServers(): number;
  charged(): readonly string[];
  addFault(rule: FaultRule): void;
  network(cloud: KilledCloud, kind: 'cut' | 'freeze', seconds: number): Promise<void>;
  /** The deadlines of the open leases of this name are due so soon, where they were later. */
  hurry(name: string, seconds: number): Promise<void>;
  killWatcher(): Promise<number>;
  /** SIGKILL, or SIGSTOP as of a machine nobody hears any more, to all processes of this pod's machine. Answers how many there were. */
  killMachine(podId: string, signal?: 'SIGKILL' | 'SIGSTOP'): Promise<number>;
}

/** Three fake clouds whose machines are real processes, and one state folder whose servers and watcher reach them through links that can be cut. */
export async function openChaosWorld(seed: number): Promise<ChaosWorld> {
  const stack = new Disposer();
  const box = stack.use(await watchedSandbox());
  const witness = path.join(path.dirname(box.home), 'witness');
  const ended: string[] = [];
  const failures: unknown[] = [];
  const pods = await podProgram();
  const program = createSandboxProgram({
    clouds: [
      {
        name: 'vast',
        faultKinds: VAST_FAULTS,
        make: (parts) => createVastCloud({ ...parts, options: { bootSeconds: 1, sshSeconds: 1 } }),
      },
      {
        name: 'runpod',
        faultKinds: RUNPOD_FAULTS,
        make: (parts) =>
          createRunpodCloud({
            ...parts,
            options: { bootSeconds: 1, sshSeconds: 1, portSeconds: 1 },
          }),
      },
      {
        name: 'lambda',
        faultKinds: LAMBDA_FAULTS,
        make: (parts) =>
          createLambdaCloud({
            ...parts,
            options: { bootSeconds: 2, sshSeconds: 1, terminateSeconds: 2 },
          }),
      },
    ],
    folder: path.join(path.dirname(box.home), 'clouds'),
    podsIn: (home) => createLocalProvider({ home, podProgram: pods, clock: systemClock }),
    clock: systemClock,
    searchPath: process.env['PATH'] ?? '/usr/bin:/bin',
    onFailure: (failure) => failures.push(failure),
  });
  const open = await program.open({
    seed,
    offers: 60,
    creditUsd: 10_000,
    onRequest: ({ method, path: route, body }) => {
      const text = `${method} ${route} ${JSON.stringify(body ?? '')}`;
      if (/DELETE|terminate/i.test(text)) ended.push(text);
    },
  });
  stack.add(async () => {
    await open.end();
  });
  const links = new Map<string, Awaited<ReturnType<typeof startTcpProxy>>>();
  const env: Record<string, string> = {};
  for (const { cloud, url, variables } of open.origins) {
    const { port } = new URL(url);
    const link = stack.use(await startTcpProxy(() => Number(port)));
    links.set(cloud, link);
    for (const [name, value] of Object.entries(variables))
      env[name] = value.replaceAll(`:${port}`, `:${link.port}`);
  }

  const sightings = new Map<string, Sighting>();
  const look = (): void => {
    const now = Date.now();
    for (const { cloud, instances } of open.books().clouds)
      for (const one of instances) if (one.kind !== 'volume') see(`${cloud}:${one.id}`, one, now);
  };
  const see = (podId: string, one: BookedInstance, now: number): void => {
    const { createdAtSeconds, endedAtSeconds, state, billing, label } = one;
    const createdAt = createdAtSeconds * 1000;
    const seen = sightings.get(podId) ?? {
      podId,
      label,
      createdAt,
      chargedAt: createdAt,
      livingAt: createdAt,
      states: [],
      isBroken: false,
    };
    sightings.set(podId, seen);
    seen.label ??= label;
    if (billing) seen.chargedAt = now;
    if (endedAtSeconds === undefined && state !== 'terminating') seen.livingAt = now;
    if (seen.states.at(-1) === state) return;
    seen.states.push(state);
    if (BROKEN.test(state)) seen.isBroken = true;
    const id = one.id;
    if (endedAtSeconds !== undefined && !ended.some((text) => text.includes(id)))
      seen.isBroken = true;
  };
  const watch = setInterval(look, LOOK_EVERY_MILLISECONDS);
  stack.add(() => {
    clearInterval(watch);
  });

  const servers: BuiltServer[] = [];
  stack.add(async () => {
    await Promise.all(servers.map(async (server) => server.kill9()));
  });
  const isLiving = ({ child }: BuiltServer): boolean =>
    child.exitCode === null && child.signalCode === null;

  return {
    home: box.home,
    workspace: box.workspace,
    witness,
    sightings,
    failures,
    async start(isAuto = false) {
      const server = await BuiltServer.start({
        home: box.home,
        workspace: box.workspace,
        env: {
          ...env,
          GPU_LEASE_WATCHER: 'on',
          ...(isAuto ? { GPU_LEASE_AUTO_APPROVE_USD: '100000' } : {}),
        },
      });
      servers.push(server);
      return server;
    },
    livingServers: () => servers.filter(isLiving).length,
    charged() {
      look();
      return open
        .books()
        .clouds.flatMap(({ cloud, instances }) =>
          instances
            .filter(({ kind, billing }) => kind !== 'volume' && billing)
            .map(({ id }) => `${cloud}:${id}`),
        );
    },
    addFault: (rule) => {
      open.addFault(rule);
    },
    async network(cloud, kind, seconds) {
      const link = links.get(cloud);
      if (link === undefined) return;
      if (kind === 'freeze') link.freeze();
      else {
        link.accepting = false;
        link.cutLinks();
      }
      await pause(seconds * 1000);
      link.thaw();
      link.accepting = true;
    },
    async hurry(name, seconds) {
      await using store = createSqliteStore({ file: path.join(box.home, 'state.db') });
      const deadlineAt = new Date(Date.now() + seconds * 1000).toISOString();
      await store.transaction(async (tx) => {
        for (const lease of await tx.leases.list())
          if (
            lease.terms.name === name &&
            lease.state !== 'closed' &&
            lease.deadlineAt > deadlineAt
          )
            await tx.leases.put(lease.leaseId, { ...lease, deadlineAt });
      });
    },
    async killWatcher() {
      const pids = await watchersOf(box.home);
      killAll(pids);
      return pids.length;
    },
    async killMachine(podId, signal = 'SIGKILL') {
      const id = podId.slice(podId.indexOf(':') + 1);
      const prefix = podId.slice(0, podId.indexOf(':'));
      const state = await open.machines.look(`${prefix}-${id}`);
      const folder = await folderAt(path.join(open.folder, 'pods'), state.port);
      if (folder === undefined) return 0;
      const seen = sightings.get(podId);
      if (seen !== undefined) seen.isBroken = true;
      const pids = await processesBelow(folder);
      killAll(pids, signal);
      return pids.length;
    },
    [Symbol.asyncDispose]: async () => stack[Symbol.asyncDispose](),
  };
}

/** The folder of the pod that listens there. */
async function folderAt(root: string, port: number | undefined): Promise<string | undefined> {
  if (port === undefined) return undefined;
  for (const name of await readdir(root)) {
    const text = await readFile(path.join(root, name, 'state.json'), 'utf8').catch(() => '{}');
    if ((JSON.parse(text) as { port?: number }).port === port) return path.join(root, name);
  }
  return undefined;
}

function killAll(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): void {
  for (const pid of pids)
    try {
      process.kill(pid, signal);
    } catch {
      // it ended meanwhile
    }
}
