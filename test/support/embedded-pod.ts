import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2 from 'ssh2';
import {
  type EmbeddedPodState,
  embeddedPodStateSchema,
  POD_FILES,
} from '../../src/core/embedded-pod.ts';
import { podIdSchema, randomToken } from '../../src/core/ids.ts';
import { readJsonFile, writeJsonFile } from '../../src/core/json-file.ts';
import { isAlive, processesOfPod, sendSignal } from '../../src/core/local-process.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { podProgram } from './pod-program.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

export interface EmbeddedPodOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly setup?: string;
  /** From now. Default one hour. */
  readonly deadlineSeconds?: number;
  readonly onExpiry?: 'destroy' | 'stop';
}

export interface EmbeddedPod extends AsyncDisposable {
  /** Through the proxy, with the path of a fresh client key that the pod accepts, and the pinned host key. */
  readonly endpoint: SshEndpoint;
  readonly folder: string;
  readonly home: string;
  readonly token: string;
  readonly proxy: TcpProxy;
  /** The serving process now. */
  pid(): Promise<number>;
  state(): Promise<EmbeddedPodState | undefined>;
  /** Drops every TCP connection to the pod; what runs on it goes on. */
  cutLinks(): void;
  /** Kills the serving process with SIGKILL. What it had started lives on, as after a crash. */
  kill9(): Promise<void>;
  /** Starts the serving process again on the same folder; the endpoint stays the same. */
  respawn(): Promise<void>;
  /** Pids that carry the pod's token. */
  processes(): Promise<readonly number[]>;
}

/** A real embedded pod on loopback: its own process, SSH server, home and key. Dispose ends it and removes everything. */
export async function startEmbeddedPod(options: EmbeddedPodOptions = {}): Promise<EmbeddedPod> {
  const program = await podProgram();
  const base = await mkdtemp(path.join(tmpdir(), 'gpu-lease-pod-'));
  const token = randomToken(20);
  const folder = path.join(base, token);
  const podId = podIdSchema.parse(`local:${token}`);
  const keyPath = path.join(base, 'id_ed25519');
  const publicKey = await makeClientKey(keyPath);
  await mkdir(folder, { mode: 0o700 });
  const file = (name: keyof typeof POD_FILES): string => path.join(folder, POD_FILES[name]);
  await writeJsonFile(file('deadline'), {
    deadlineAt: new Date(Date.now() + (options.deadlineSeconds ?? 3600) * 1000).toISOString(),
    onExpiry: options.onExpiry ?? 'destroy',
  });
  await writeJsonFile(file('config'), {
    podId,
    label: `test-${token}`,
    offerId: 'local:cpu',
    podToken: token,
    authorizedKeys: [publicKey],
    env: options.env ?? {},
    ...(options.setup === undefined ? {} : { setup: options.setup }),
    onExpiry: options.onExpiry ?? 'destroy',
    createdAt: new Date().toISOString(),
  });

  const state = async () => readJsonFile(file('state'), embeddedPodStateSchema);
  let port = 0;
  let hostKey = '';
  const respawn = async (): Promise<void> => {
    const [command = '', ...args] = program;
    const log = await open(file('log'), 'a', 0o600);
    const stdio = ['ignore', log.fd, log.fd] as const;
    const child = spawn(command, [...args, folder], { detached: true, stdio: [...stdio] });
    await log.close();
    child.unref();
    for (const end = Date.now() + 20_000; ; ) {
      const seen = await state();
      if (seen?.status === 'running' && seen.port && seen.process.pid === child.pid) {
        port = seen.port;
        hostKey = seen.hostKey ?? '';
        return;
      }
      if (Date.now() > end || child.exitCode !== null)
        throw new Error('The embedded pod did not start.');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await respawn();
  const proxy = await startTcpProxy(() => port);
  const pid = async (): Promise<number> => (await state())?.process.pid ?? 0;

  return {
    endpoint: {
      podId,
      host: '127.0.0.1',
      port: proxy.port,
      user: 'gpu',
      route: 'direct',
      keyPath,
      hostKey,
      workFolder: file('home'),
    },
    folder,
    home: file('home'),
    token,
    proxy,
    pid,
    state,
    cutLinks: () => {
      proxy.cutLinks();
    },
    async kill9() {
      const seen = await state();
      if (seen === undefined || !(await isAlive(seen.process))) return;
      sendSignal(seen.process.pid, 'SIGKILL');
      while (await isAlive(seen.process)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    respawn,
    processes: async () => processesOfPod(token),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      const [command = '', ...args] = program;
      const child = spawn(command, [...args, folder, 'destroy'], { stdio: 'ignore' });
      await once(child, 'close');
      await rm(base, { recursive: true, force: true });
    },
  };
}

/** Writes a fresh ed25519 key pair and answers the line for authorized_keys. */
export async function makeClientKey(keyPath: string): Promise<string> {
  const pair = newKeyPair();
  await writeFile(keyPath, pair.private, { mode: 0o600 });
  await chmod(keyPath, 0o600);
  await writeFile(`${keyPath}.pub`, `${pair.public}\n`);
  return (await readFile(`${keyPath}.pub`, 'utf8')).trim();
}

/** One in three hundred ed25519 keys of ssh2 cannot be used (a number with a leading zero): those are thrown away. */
function newKeyPair(): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    const key = ssh2.utils.parseKey(pair.private);
    if (key instanceof Error) continue;
    const signature: unknown = key.sign(Buffer.from('proof'));
    if (Buffer.isBuffer(signature) && isTrue(key.verify(Buffer.from('proof'), signature)))
      return pair;
  }
}

/** ssh2 answers what it cannot read with an Error, which its types do not say. */
function isTrue(verdict: unknown): boolean {
  return verdict === true;
}
