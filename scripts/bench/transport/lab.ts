/* What a run works with: one real sshd, links to it, the built server, OpenSSH's clients, and folders that go with the run. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../../src/core/call.ts';
import { type PodId, podIdOfProfile, profileIdSchema } from '../../../src/core/ids.ts';
import { Redactor } from '../../../src/core/redact.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { createSsh } from '../../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { BuiltServer, sandbox } from '../../../test/support/built-server.ts';
import {
  type DelayProxy,
  type LinkShape,
  startDelayProxy,
} from '../../../test/support/delay-proxy.ts';
import { startSshd, type TestSshd } from '../../../test/support/sshd.ts';
import { MIB } from './data.ts';

const PROFILER = path.resolve(import.meta.dirname, '../../../test/support/profile-process.mjs');
const GCM = 'aes128-gcm@openssh.com';
const LOG_CHARS = 2000;
const POLL_MS = 20;
const MASTER_DEADLINE_MS = 15_000;

/** 0 ms goes straight to sshd: no proxy carries as much as loopback. */
export const LINKS = {
  direct: undefined,
  rtt30: { rttMs: 30 },
  rtt100: { rttMs: 100 },
  thin: { rttMs: 100, bytesPerSecond: 25e6 },
  thin30: { rttMs: 30, bytesPerSecond: 25e6 },
  lossy: { rttMs: 60, bytesPerSecond: 25e6, jitterMs: 10, stallsPerSecond: 1, stallMs: 200 },
} as const satisfies Readonly<Record<string, LinkShape | undefined>>;
export type LinkName = keyof typeof LINKS;

export const linkWords: Readonly<Record<LinkName, string>> = {
  direct: '0 ms',
  rtt30: '30 ms',
  rtt100: '100 ms',
  thin: '100 ms, 25 MB/s',
  thin30: '30 ms, 25 MB/s',
  lossy: '60 ms, 25 MB/s, stalls',
};

/** One way to the pod, for both sides. */
export interface Link {
  readonly name: LinkName;
  readonly port: number;
  readonly profileId: string;
  readonly podId: PodId;
  /** Destination and options of an OpenSSH client without a connection. */
  readonly fresh: readonly string[];
  /** The same over the ControlMaster of this link. */
  readonly mux: readonly string[];
  readonly destination: string;
}

export interface Lab extends AsyncDisposable {
  readonly sshd: TestSshd;
  /** Local folder of data inside the workspace of the server. */
  readonly here: string;
  /** Folder that plays the pod's disk. */
  readonly there: string;
  readonly workspace: string;
  link(name: LinkName): Promise<Link>;
  /** The built server that the rows share, with a profile of every link that was asked for. */
  server(): Promise<BuiltServer>;
  /** A server of its own with more variables. */
  newServer(env?: Readonly<Record<string, string>>): Promise<BuiltServer>;
  /** The end of what our servers wrote to their logs. */
  complaints(): string;
  /** Our connections in this process. `options` are more dependencies of theirs. */
  remote(link: Link, options?: Partial<Parameters<typeof createSsh>[0]>): Remote;
}

/** Runs a program to its end. Throws what it complained of. */
export async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`${program} ${args.join(' ')}: ${complaint}`);
}

/** A folder in memory where we may make one and there is enough of it, so that no disk is measured. Not /dev/shm: nobody syncs into /dev. */
function makeRoot(neededMebibytes: number): { readonly root: string; remove(): void } {
  const root = mkdtempSync(path.join(os.tmpdir(), 'gl-bench-'));
  const needed = neededMebibytes * MIB;
  const isMounted = os.freemem() * 0.7 > needed && program('mount', ['-t', 'tmpfs', 'none', root]);
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < needed) throw new Error(`The bench needs ${neededMebibytes} MiB.`);
  return {
    root,
    remove() {
      if (isMounted) program('umount', ['-l', root]);
      rmSync(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
const program = (name: string, args: readonly string[]): boolean =>
  spawnSync(name, args).status === 0;

/** `profile`: folder for a CPU profile of each thread of the shared server, written when it ends. */
export async function openLab(neededMebibytes: number, profile?: string): Promise<Lab> {
  const outside = process.env['TMPDIR'];
  const disk = makeRoot(neededMebibytes);
  const { root } = disk;
  // Everything below makes its temporary folders there.
  process.env['TMPDIR'] = root;
  const sshd = await startSshd({ defaultLimits: true });
  const box = await sandbox();
  const closers: (() => Promise<void>)[] = [];
  const links = new Map<LinkName, Promise<Link>>();
  const servers: BuiltServer[] = [];
  let shared: Promise<BuiltServer> | undefined;
  const here = path.join(box.workspace, 'data');
  const there = path.join(sshd.home, 'data');
  for (const folder of [here, there]) await mkdir(folder, { recursive: true });

  async function makeLink(name: LinkName): Promise<Link> {
    const shape: LinkShape | undefined = LINKS[name];
    let proxy: DelayProxy | undefined;
    if (shape !== undefined) {
      proxy = await startDelayProxy(sshd.endpoint.port, shape);
      const started = proxy;
      closers.push(async () => started[Symbol.asyncDispose]());
    }
    const port = proxy?.port ?? sshd.endpoint.port;
    const fresh = [
      ...['-F', 'none', '-i', sshd.keyPath],
      ...[
        'IdentitiesOnly=yes',
        'BatchMode=yes',
        'StrictHostKeyChecking=no',
        'UserKnownHostsFile=/dev/null',
        'LogLevel=ERROR',
        `Port=${port}`,
      ].flatMap((option) => ['-o', option]),
    ];
    const socket = path.join(root, `mux-${name}`);
    const destination = `${sshd.endpoint.user}@127.0.0.1`;
    closers.push(await startMaster([...fresh, '-c', GCM], socket, destination));
    const profileId = `bench-${name}`;
    const mux = ['-F', 'none', '-S', socket, '-o', `Port=${port}`];
    const podId = podIdOfProfile(profileIdSchema.parse(profileId));
    const link = { name, port, profileId, podId, fresh, mux, destination };
    if (shared !== undefined) await saveProfile(await shared, link);
    return link;
  }
  async function saveProfile(
    server: BuiltServer,
    { port, profileId, destination }: Link,
  ): Promise<void> {
    const sshCommand = `ssh -p ${port} -i ${sshd.keyPath} ${destination}`;
    await server.call('ssh_profile', { action: 'save', profileId, sshCommand });
  }
  const lab: Lab = {
    sshd,
    here,
    there,
    workspace: box.workspace,
    async link(name) {
      const known = links.get(name) ?? makeLink(name);
      links.set(name, known);
      return known;
    },
    async newServer(env) {
      const server = await BuiltServer.start({ ...box, ...(env === undefined ? {} : { env }) });
      servers.push(server);
      for (const link of links.values()) await saveProfile(server, await link);
      return server;
    },
    complaints: () => servers.map(({ stderr }) => stderr.slice(-LOG_CHARS)).join(''),
    async server() {
      shared ??= lab.newServer(
        profile === undefined
          ? undefined
          : { NODE_OPTIONS: `--import ${PROFILER}`, PROFILE_FOLDER: profile },
      );
      return shared;
    },
    remote({ port, podId }, options = {}) {
      const endpoint = { ...sshd.endpoint, podId, port };
      const ssh = createSsh({
        machines: { endpoint: async () => Promise.resolve(endpoint) },
        store: createMemoryStore(),
        clock: systemClock,
        home: path.join(root, 'in-process'),
        redactor: new Redactor(),
        ...options,
      });
      closers.push(async () => ssh[Symbol.asyncDispose]());
      return ssh.remote;
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
      for (const close of closers.toReversed()) await close();
      await box[Symbol.asyncDispose]();
      await sshd[Symbol.asyncDispose]();
      disk.remove();
      if (outside === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = outside;
    },
  };
  return lab;
}

/** A ControlMaster in the foreground. The result ends it. */
async function startMaster(
  options: readonly string[],
  socket: string,
  destination: string,
): Promise<() => Promise<void>> {
  const program = 'ssh';
  const child: ChildProcess = spawn(program, [...options, '-M', '-N', '-S', socket, destination], {
    stdio: 'ignore',
  });
  const deadline = performance.now() + MASTER_DEADLINE_MS;
  for (;;) {
    const up = await run(program, ['-F', 'none', '-S', socket, '-O', 'check', destination]).then(
      () => true,
      () => false,
    );
    if (up) break;
    if (performance.now() > deadline) throw new Error('no ControlMaster');
    await systemClock.sleep(POLL_MS / 1000, { signal: new AbortController().signal });
  }
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  };
}

/** One line that stands for a command with arguments, for `rsync -e`. */
export const words = (args: readonly string[]): string => args.join(' ');

/** `rsync -e`: a connection of its own with the cheapest cipher, or the one that is already there. */
export const rsyncOver = {
  fresh: ({ fresh }: Link): readonly string[] => ['-e', words(['ssh', ...fresh, '-c', GCM])],
  mux: ({ mux }: Link): readonly string[] => ['-e', words(['ssh', ...mux])],
} as const;
export const GCM_CIPHER = ['-c', GCM] as const;

/** Runs ssh with its output in `file`. */
export async function sshInto(args: readonly string[], file: string): Promise<void> {
  const script = 'out=$1; shift; exec ssh "$@" > "$out"';
  await run('sh', ['-c', script, 'sh', file, ...args]);
}
