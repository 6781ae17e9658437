import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import { type PodId, podIdOfProfile, profileIdSchema } from '../../src/core/ids.ts';
import type { ProfileFields, Profiles } from '../../src/core/profile.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Store } from '../../src/core/store.ts';
import { createProfiles, type ProfilesDeps } from '../../src/providers/ssh/profiles.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { type SshdOptions, startSshd, type TestSshd } from './sshd.ts';

const { signal } = new AbortController();
const AGENT_PROGRAM = 'ssh-agent';

/** Profiles over real connections, with an ssh configuration and known_hosts of their own. */
export interface ProfileBench extends AsyncDisposable {
  readonly folder: string;
  readonly store: Store;
  readonly profiles: Profiles;
  readonly ssh: ReturnType<typeof createSsh>;
  readonly podId: PodId;
  /** More servers, ended with the bench. */
  sshd(options?: SshdOptions): Promise<TestSshd>;
  /** Writes the ssh configuration. Host keys of nobody are known but those of `knownHosts`. */
  configure(config: readonly string[], knownHosts?: string): Promise<void>;
  save(fields: ProfileFields): Promise<void>;
  test(): ReturnType<Profiles['test']>;
  /** What a command prints on the machine of the profile. */
  run(command: string): Promise<string>;
  /** Starts a real ssh-agent where the bench looks for it; the result is its socket. Before that nobody answers there. */
  agent(): Promise<string>;
  /** Later connections are made anew. */
  drop(): Promise<void>;
  onClose(close: () => Promise<void>): void;
}

export async function openProfileBench(
  extra: Partial<ProfilesDeps> & { readonly noAgent?: boolean } = {},
): Promise<ProfileBench> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gl-profile-'));
  const store = createMemoryStore();
  const closers: (() => Promise<void>)[] = [];
  const sshConfigFile = path.join(folder, 'config');
  const socket = path.join(folder, 'agent.sock');
  const profileId = profileIdSchema.parse('lab');
  const podId = podIdOfProfile(profileId);
  const profiles = createProfiles({
    store,
    remote: () => ssh.remote,
    clock: systemClock,
    home: folder,
    sshConfigFile,
    ...extra,
  });
  const ssh = createSsh({
    machines: profiles,
    store,
    clock: systemClock,
    home: folder,
    redactor: new Redactor(),
    ...(extra.noAgent === true ? {} : { agentSocket: socket }),
  });
  const bench: ProfileBench = {
    folder,
    store,
    profiles,
    ssh,
    podId,
    onClose(close) {
      closers.push(close);
    },
    async sshd(options) {
      const sshd = await startSshd(options);
      closers.push(async () => sshd[Symbol.asyncDispose]());
      return sshd;
    },
    async configure(config, knownHosts = '') {
      await writeFile(path.join(folder, 'known_hosts'), knownHosts);
      const own = [`UserKnownHostsFile ${folder}/known_hosts`, 'GlobalKnownHostsFile none'];
      await writeFile(sshConfigFile, [...config, 'Host *', ...own, ''].join('\n'), { mode: 0o600 });
    },
    async save(fields) {
      await profiles.save(profileId, fields, { signal });
    },
    test: async () => profiles.test(profileId, { signal }),
    async run(command) {
      const { stdout } = await ssh.remote.exec(podId, command, { signal, timeoutSeconds: 20 });
      return stdout.toString('utf8');
    },
    async agent() {
      const child = spawn(AGENT_PROGRAM, ['-D', '-a', socket], { stdio: 'pipe' });
      closers.push(async () => {
        child.kill();
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      });
      await once(child.stdout, 'data');
      return socket;
    },
    drop: async () => ssh.remote.disconnect(podId),
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      for (const close of closers.toReversed()) await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await bench.configure([]);
  return bench;
}

/** Runs a program of OpenSSH and answers what it printed. Throws what it complained of. */
export async function openSsh(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...env } });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.end();
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program}: ${err}`);
  return out;
}
