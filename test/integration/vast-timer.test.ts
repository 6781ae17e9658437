import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEADLINE_FILE } from '../../src/providers/boot-script.ts';
import { type OnstartTerms, onstartOf } from '../../src/providers/vast/onstart.ts';
import { type StubCloud, startStubCloud } from '../support/stub-cloud.ts';

const POD_KEY = 'container-key-0123456789';
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} gpu-lease`;
const OUTPUT = { encoding: 'utf8' } as const;
const now = (): number => Math.floor(Date.now() / 1000);
const until = async (holds: () => boolean, seconds = 15): Promise<void> => {
  await expect.poll(holds, { timeout: seconds * 1000, interval: 50 }).toBe(true);
};

/** A folder that plays the disk of a container: the boot script really runs there, again at each start. */
interface Disk extends Disposable {
  readonly home: string;
  file(name: string): string;
  read(name: string): string;
  write(name: string, text: string): void;
  /** Runs it to its end and answers what it printed. */
  boot(terms?: Partial<OnstartTerms>, how?: { shell?: string; path?: string }): Promise<string>;
  /** Of the timer that runs now; `undefined`: none. */
  timerPid(): number | undefined;
  /** A container that goes down takes its processes along. */
  halt(): void;
}
function openDisk(cloud: Pick<StubCloud, 'url'>): Disk {
  const home = mkdtempSync(path.join(tmpdir(), 'gpu-lease-timer-'));
  const file = (name: string): string => path.join(home, '.gpu-lease', name);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  const timerPid = (): number | undefined => {
    if (!existsSync(file('timer.pid'))) return undefined;
    const pid = Number(read('timer.pid').trim());
    const isTimer =
      pid > 0 &&
      existsSync(`/proc/${pid}/cmdline`) &&
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(home);
    return isTimer ? pid : undefined;
  };
  const halt = (): void => {
    const pid = timerPid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  };
  return {
    home,
    file,
    read,
    timerPid,
    halt,
    write(name, text) {
      writeFileSync(file(name), text);
    },
    async boot(terms = {}, { shell = 'sh', path: searchPath } = {}) {
      const script = onstartOf({
        apiUrl: cloud.url,
        onExpiry: 'destroy',
        madeSeconds: now() - 60,
        deadlineSeconds: now() + 3600,
        sshPublicKey: PUBLIC_KEY,
        everySeconds: 0.1,
        ...terms,
      });
      const [program = 'sh', ...args] = shell.split(' ');
      const child = spawn(program, [...args, '-c', script], {
        cwd: '/',
        env: {
          HOME: home,
          PATH: searchPath ?? process.env['PATH'],
          CONTAINER_ID: '7835610',
          CONTAINER_API_KEY: POD_KEY,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let printed = '';
      child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      await once(child, 'close');
      await until(() => timerPid() !== undefined);
      return printed;
    },
    [Symbol.dispose]() {
      halt();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};
/** A PATH with the tools of coreutils and of the named clients only. */
function pathWith(folder: string, clients: readonly string[]): string {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const tools = ['sh', 'cat', 'date', 'sleep', 'mkdir', 'touch', 'mv', 'grep', 'tr', 'nohup'];
  const tell = (name: string): string =>
    name === 'python3' ? "python3 -c 'import sys; print(sys.executable)'" : `command -v ${name}`;
  // Python may be found through a wrapper that needs more than this.
  const found = (name: string): string => execFileSync('sh', ['-c', tell(name)], OUTPUT).trim();
  for (const tool of [...tools, 'chmod', 'head', 'tail', ...clients])
    symlinkSync(found(tool), path.join(bin, tool));
  return bin;
}

describe('the timer on the pod', () => {
  const shells = ['sh', 'dash', 'bash --posix', 'busybox sh'].filter((shell) =>
    has(shell.split(' ')[0] ?? ''),
  );
  it.each(shells)(
    'under %s it destroys its own pod with its own key when the time has come',
    async (shell) => {
      await using cloud = await startStubCloud(() => ({ json: { success: true } }));
      using disk = openDisk(cloud);
      await disk.boot({ deadlineSeconds: now() + 2 }, { shell });
      await until(() => cloud.seen.length > 0);
      const [request] = cloud.seen;
      expect(`${request?.method ?? ''} ${request?.path ?? ''}`).toBe(
        'DELETE /api/v0/instances/7835610/',
      );
      expect(request?.headers['authorization']).toBe(`Bearer ${POD_KEY}`);
      expect(request?.body).toEqual({});
      // The key of the container stands in no argument that others on the machine could read.
      expect(now()).toBeGreaterThanOrEqual(Number(disk.read('deadline')));
    },
  );

  it('stops instead, when that was agreed, and asks again until it is over', async () => {
    await using cloud = await startStubCloud((_, nth) =>
      nth < 3 ? { status: 500, text: 'no' } : { json: { success: true } },
    );
    using disk = openDisk(cloud);
    await disk.boot({ deadlineSeconds: now() + 1, onExpiry: 'stop' });
    await until(() => cloud.seen.length > 5);
    expect(new Set(cloud.lines())).toEqual(new Set(['PUT /api/v0/instances/7835610/']));
    expect(cloud.seen[0]?.body).toEqual({ state: 'stopped' });
    expect(cloud.seen[0]?.headers['content-type']).toBe('application/json');
  });

  it.each(['curl', 'wget', 'python3'].filter(has))('works with %s alone', async (client) => {
    await using cloud = await startStubCloud(() => ({ json: { success: true } }));
    using disk = openDisk(cloud);
    const searchPath = pathWith(disk.home, [client]);
    await disk.boot({ deadlineSeconds: now() + 1 }, { path: searchPath });
    await until(() => cloud.seen.length > 0);
    expect(cloud.lines()[0]).toBe('DELETE /api/v0/instances/7835610/');
    expect(cloud.seen[0]?.headers['authorization']).toBe(`Bearer ${POD_KEY}`);
  });

  it('a client that fails is followed by the next', async () => {
    await using cloud = await startStubCloud(() => ({ json: { success: true } }));
    using disk = openDisk(cloud);
    const searchPath = pathWith(disk.home, ['python3']);
    writeFileSync(path.join(searchPath, 'curl'), '#!/bin/sh\nexit 7\n', { mode: 0o755 });
    await disk.boot({ deadlineSeconds: now() + 1 }, { path: searchPath });
    await until(() => cloud.seen.length > 0);
  });

  it('obeys a deadline that is moved, either way', async () => {
    await using cloud = await startStubCloud(() => ({ json: { success: true } }));
    using disk = openDisk(cloud);
    const first = now() + 2;
    await disk.boot({ deadlineSeconds: first });
    disk.write('deadline', `${now() + 3600}\n`);
    await until(() => now() > first + 1);
    expect(cloud.seen).toEqual([]);
    disk.write('deadline', String(now()));
    await until(() => cloud.seen.length > 0);
  });

  it('does nothing while the file says nothing sensible', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const absurd = [
      '',
      'soon',
      '0',
      '12',
      '-1786000000',
      '1e9',
      '99999999999999',
      `${now() - 90_000}`,
    ];
    const bin = path.join(disk.home, 'bin');
    mkdirSync(bin);
    const sleep = `#!/bin/sh\necho round >> '${disk.home}/rounds'\nexec /bin/sleep "$@"\n`;
    writeFileSync(path.join(bin, 'sleep'), sleep, { mode: 0o755 });
    await disk.boot({ graceSeconds: 0 }, { path: `${bin}:${process.env['PATH'] ?? ''}` });
    const rounds = (): number =>
      existsSync(path.join(disk.home, 'rounds'))
        ? statSync(path.join(disk.home, 'rounds')).size / 'round\n'.length
        : 0;
    const severalRounds = async (): Promise<void> => {
      const before = rounds();
      await until(() => rounds() > before + 3);
      expect(cloud.seen).toEqual([]);
    };
    for (const text of [...absurd, '$(touch /tmp/x)', '1 2', `${now() - 5}x`]) {
      disk.write('deadline', text);
      await severalRounds();
    }
    rmSync(disk.file('deadline'));
    await severalRounds();
    disk.write('deadline', String(now() - 5));
    await until(() => cloud.seen.length > 0);
  });
});

describe('at the next start', () => {
  it('the file on the disk counts, not the one in the script; one timer runs', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    await disk.boot({ deadlineSeconds: now() + 3600 });
    disk.write('deadline', String(now() + 7200));
    const before = disk.read('deadline');
    const pid = disk.timerPid();
    await disk.boot({ deadlineSeconds: now() + 10 });
    expect([disk.read('deadline'), disk.timerPid()]).toEqual([before, pid]);
    disk.halt();
    await until(() => disk.timerPid() === undefined);
    await disk.boot({ deadlineSeconds: now() + 10 });
    expect(disk.timerPid()).not.toBe(pid);
    expect(disk.read('deadline')).toBe(before);
  });

  it('a number of the timer that now belongs to another process hinders no new one', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    mkdirSync(path.join(disk.home, '.gpu-lease'));
    disk.write('timer.pid', String(process.pid));
    await disk.boot();
    expect(disk.timerPid()).not.toBe(process.pid);
  });

  it('a pod that was started after its end has time to be given a new one', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const made = now() - 7000;
    await disk.boot({ madeSeconds: made, deadlineSeconds: now() - 600, graceSeconds: 3 });
    const booted = now();
    await until(() => cloud.seen.length > 0);
    expect(now() - booted).toBeGreaterThanOrEqual(2);
  });

  it('a clock that is days wrong is read with its difference, so nothing ends early', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    // By the clock of the pod the deadline passed three days ago; it was made a moment ago.
    const days = 3 * 86_400;
    const made = now() - days;
    await disk.boot({ madeSeconds: made, deadlineSeconds: made + 3, graceSeconds: 0 });
    expect(cloud.seen).toEqual([]);
    await until(() => cloud.seen.length > 0);
    expect(now() - days).toBeGreaterThanOrEqual(made + 3);
  });
});

describe('the boot script around it', () => {
  it('runs the setup, keeps what it prints for us alone, and prints it too', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const setup = `echo "it's $HOME"; echo to-stderr >&2; [ -n "$CONTAINER_ID" ] && echo has-id; pwd; exit 3`;
    const printed = await disk.boot({ setup });
    expect(disk.read('bootstrap.log')).toBe(`it's ${disk.home}\nto-stderr\nhas-id\n${disk.home}\n`);
    expect(printed).toBe(disk.read('bootstrap.log'));
    expect(statSync(disk.file('bootstrap.log')).mode & 0o077).toBe(0);
    expect(statSync(disk.file('deadline')).mode & 0o077).toBe(0);
  });

  it('a setup with a first line of its own is read by what it names', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    await disk.boot({ setup: '#!/usr/bin/env python3\nprint("from python", 6 * 7)\n' });
    expect(disk.read('bootstrap.log')).toBe('from python 42\n');
  });

  it('a setup that leaves a program behind holds nothing up', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const printed = await disk.boot({
      setup: 'sleep 3 &\necho done',
      templateOnstart: 'echo after',
    });
    expect(printed).toBe('done\nafter\n');
  });

  it('hostile words in a setup stay its own', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const setup = `cat <<'X'\nGPU_LEASE_END\n$(echo no) \`id\` '\\''\nX\necho GPU_LEASE_END_`;
    await disk.boot({ setup });
    expect(disk.read('bootstrap.log')).toBe(
      `GPU_LEASE_END\n$(echo no) \`id\` '\\''\nGPU_LEASE_END_\n`,
    );
  });

  it('the script of the template comes last, so one that never ends holds nothing up', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    const script = onstartOf({
      apiUrl: cloud.url,
      onExpiry: 'destroy',
      madeSeconds: now(),
      deadlineSeconds: now() + 3600,
      sshPublicKey: PUBLIC_KEY,
      setup: 'echo setup',
      templateOnstart: '#!/bin/bash\nexec sleep 600',
    });
    expect(script.startsWith('#!/bin/bash\n')).toBe(true);
    expect(script.endsWith('exec sleep 600')).toBe(true);
    const printed = await disk.boot({ setup: 'echo setup', templateOnstart: 'echo template' });
    expect(printed).toBe('setup\ntemplate\n');
  });

  it('our key is there once, however often it starts, and no other key is lost', async () => {
    await using cloud = await startStubCloud(() => ({ json: {} }));
    using disk = openDisk(cloud);
    mkdirSync(path.join(disk.home, '.ssh'), { mode: 0o700 });
    const keys = path.join(disk.home, '.ssh', 'authorized_keys');
    writeFileSync(keys, 'ssh-ed25519 BBBB other');
    await disk.boot();
    await disk.boot();
    const lines = readFileSync(keys, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    expect(lines).toEqual(['ssh-ed25519 BBBB other', PUBLIC_KEY]);
  });

  it('the file that others write is named relative to the home', () => {
    expect(DEADLINE_FILE).toBe('.gpu-lease/deadline');
  });
});
