import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type SshEndpoint, sshEndpointSchema } from '../../src/core/machine.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';

const SSHD = '/usr/sbin/sshd';

export interface TestSshd extends AsyncDisposable {
  readonly endpoint: SshEndpoint;
  readonly folder: string;
  /** The HOME of every login. */
  readonly home: string;
  readonly pid: number;
  readonly keyPath: string;
  /** What the server said so far, logins and sessions included. */
  log(): string;
  /** How many are open now, as the server sees it. */
  connections(): Promise<number>;
  /** Ends the connections that are open now; new ones are accepted. */
  cut(): Promise<number>;
  /** Another host key behind the same port. */
  changeHostKey(): Promise<void>;
  /** As a machine that goes down: the listener and every connection end, what logins started goes on. */
  stop(): Promise<void>;
  start(): Promise<void>;
}
export interface SshdOptions {
  readonly podId?: string;
  /** More lines of sshd_config. */
  readonly config?: readonly string[];
  /** More variables of every login. */
  readonly env?: Readonly<Record<string, string>>;
  /** As many handshakes at once as OpenSSH allows where nothing is configured. */
  readonly defaultLimits?: boolean;
}

/** A real OpenSSH server of this account on 127.0.0.1, with a temporary folder as HOME. */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  if (!existsSync(SSHD))
    throw new Error('These tests need OpenSSH: apt-get install -y openssh-server');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gl-sshd-'));
  const home = path.join(folder, 'home');
  await mkdir(home, { recursive: true });
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
  const client = createSshIdentity({ home: path.join(folder, 'client') });
  const signal = new AbortController().signal;
  await writeFile(path.join(folder, 'authorized_keys'), `${await client.publicKey({ signal })}\n`, {
    mode: 0o600,
  });
  await newHostKey(folder);
  const port = await freePort();
  const env = { HOME: home, ...options.env };
  const setEnv = Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  const config = path.join(folder, 'sshd_config');
  await writeFile(
    config,
    [
      // Of two lines that say the same the first one counts.
      ...(options.config ?? []),
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${folder}/host`,
      'PidFile none',
      `AuthorizedKeysFile ${folder}/authorized_keys`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'PrintMotd no',
      'PrintLastLog no',
      ...(options.defaultLimits === true ? [] : ['MaxStartups 100:30:200']),
      'LogLevel VERBOSE',
      'Subsystem sftp internal-sftp',
      `SetEnv ${setEnv}`,
      '',
    ].join('\n'),
  );

  let child: ReturnType<typeof spawn> | undefined;
  const log: string[] = [];
  const start = async (): Promise<void> => {
    const started = spawn(SSHD, ['-D', '-e', '-f', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    await new Promise<void>((resolve, reject) => {
      const lines = createInterface({ input: started.stderr });
      lines.on('line', (line) => {
        log.push(line);
        if (line.startsWith('Server listening')) resolve();
      });
      started.once('exit', () => {
        reject(new Error(`sshd ended: ${log.join('\n')}`));
      });
    });
  };
  const stop = async (): Promise<void> => {
    const running = child;
    if (running?.exitCode === null && running.signalCode === null) {
      const gone = new Promise((resolve) => running.once('exit', resolve));
      const children = await childrenOf(running.pid ?? 0);
      running.kill('SIGTERM');
      await gone;
      for (const pid of children) kill(pid, 'SIGKILL');
    }
  };
  await start();

  const sshd: TestSshd = {
    endpoint: sshEndpointSchema.parse({
      podId: options.podId ?? 'ssh:test',
      host: '127.0.0.1',
      port,
      user: os.userInfo().username,
      route: 'direct',
      keyPath: client.keyPath,
    }),
    folder,
    home,
    keyPath: client.keyPath,
    get pid() {
      return child?.pid ?? 0;
    },
    log: () => log.join('\n'),
    connections: async () => (await childrenOf(child?.pid ?? 0)).length,
    async cut() {
      const children = await childrenOf(child?.pid ?? 0);
      for (const pid of children) kill(pid, 'SIGKILL');
      return children.length;
    },
    async changeHostKey() {
      await newHostKey(folder);
      await stop();
      await start();
    },
    stop,
    start,
    async [Symbol.asyncDispose]() {
      await sshd.cut();
      await stop();
      await endLogins(home);
      await rm(folder, { recursive: true, force: true });
    },
  };
  return sshd;
}

async function newHostKey(folder: string): Promise<void> {
  const home = await mkdtemp(path.join(folder, 'host-'));
  const identity = createSshIdentity({ home });
  await identity.publicKey({ signal: new AbortController().signal });
  await rm(path.join(folder, 'host'), { force: true });
  await appendFile(path.join(folder, 'host'), await readFile(identity.keyPath), { mode: 0o600 });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** sshd has one process for the connection below the listener, and with privilege separation one more below that. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const direct = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return direct.split(' ').filter(Boolean).map(Number);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // already gone
  }
}

/** Ends what logins left running: everything whose HOME is this server's. */
async function endLogins(home: string): Promise<void> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const environ = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    if (environ.split('\0').includes(`HOME=${home}`)) kill(Number(name), 'SIGKILL');
  }
}
