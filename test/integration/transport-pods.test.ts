import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { SessionId } from '../../src/core/ids.ts';
import { isTerminal, type JobReport } from '../../src/core/job.ts';
import { type TransportBench, within } from '../support/transport-bench.ts';
import { fetch, keepBenches, sync } from '../support/transport-calls.ts';
import { bytesFrom, codeOf, hashesOf } from '../support/transport-works.ts';

/** Each call has a limit of its own; these are for a machine that is busy with others. */
vi.setConfig({ testTimeout: 180_000 });

const { openBench, closers } = keepBenches();
async function openShell({ ssh, podId }: TransportBench): Promise<SessionId> {
  return (
    await within(30, async (signal) => ssh.sessions.open(podId, { reuse: false }, { signal }))
  ).sessionId;
}
function typing({ ssh }: TransportBench, id: SessionId) {
  return async (input: string, waitSeconds = 20) =>
    within(waitSeconds + 10, async (signal) =>
      ssh.sessions.write(id, { input, newline: true, secret: false, waitSeconds }, { signal }),
    );
}
async function runJob(
  { jobs, podId }: TransportBench,
  command: string,
  maxRuntimeMinutes = 5,
): Promise<JobReport> {
  const { job } = await within(60, async (signal) =>
    jobs.start(
      { podId, command, env: {}, secretEnv: [], artifacts: [], maxRuntimeMinutes },
      { signal },
    ),
  );
  for (const end = performance.now() + 40_000; performance.now() < end; ) {
    const report = await within(40, async (signal) =>
      jobs.wait(job.jobId, { waitSeconds: 10, offset: 0, maxBytes: 4000 }, { signal }),
    );
    if (isTerminal(report.status)) return report;
  }
  throw new Error('the job did not end');
}

/** A folder of programs: the real ones by name, and shell scripts of our own in front of them. */
async function toolbox(
  folder: string,
  names: readonly string[],
  scripts: Readonly<Record<string, string>> = {},
): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o755 });
  for (const name of names) {
    const real = ['/bin', '/usr/bin']
      .map((bin) => `${bin}/${name}`)
      .find((file) => existsSync(file));
    if (real !== undefined && scripts[name] === undefined)
      await symlink(real, path.join(folder, name));
  }
  for (const [name, text] of Object.entries(scripts))
    await writeFile(path.join(folder, name), `#!/bin/dash\n${text}\n`, { mode: 0o755 });
  return folder;
}
const COREUTILS =
  'base64 basename cat chgrp chmod chown cksum comm cp cut date dd df dirname du echo env expr false fold head id join kill ln ls md5sum mkdir mkfifo mktemp mv nice nl nohup od paste printf pwd readlink realpath rm rmdir seq sha256sum sleep sort split stat stty sync tail tee test timeout touch tr true truncate tty uname uniq wc whoami'.split(
    ' ',
  );
/** What POSIX gives, and ps and tar: no bash, python3, perl, script, setsid, tmux, gzip, zstd or rsync. */
const PLAIN = [...COREUTILS, 'sh', 'tar', 'ps', 'find', 'grep', 'sed', 'awk', 'xargs'];
const BUSYBOX = '/usr/bin/busybox';

const weak: Record<string, string> = {
  find: 'for a; do case $a in -printf|-ignore_readdir_race|-readable|-executable|-print0) echo "find: unrecognized: $a" >&2; exit 1;; esac; done; exec /usr/bin/find "$@"',
  tar: 'for a; do case $a in --*) echo "tar: unrecognized option $a" >&2; exit 1;; esac; done; exec /bin/tar "$@"',
  cp: 'for a; do case $a in --*[a-z]*) echo "cp: unrecognized option $a" >&2; exit 1;; esac; done; exec /bin/cp "$@"',
};

interface PodKind {
  readonly name: string;
  readonly open: () => Promise<TransportBench>;
}
let boxes = 0;
function boxFolder(): string {
  boxes += 1;
  const folder = path.join('/tmp', `gl-tools-${process.pid}-${boxes}`);
  closers.push(async () => rm(folder, { recursive: true, force: true }));
  return folder;
}
const underDash = 'ForceCommand exec /bin/dash -c "$SSH_ORIGINAL_COMMAND"';

const KINDS: readonly PodKind[] = [
  {
    name: 'POSIX tools only, and find, tar and cp without GNU options',
    open: async () => {
      const PATH = await toolbox(boxFolder(), PLAIN, weak);
      return openBench({ env: { PATH }, config: [underDash] });
    },
  },
  {
    name: 'sh, coreutils, tar and ps, and nothing else',
    open: async () => {
      const PATH = await toolbox(boxFolder(), [...COREUTILS, 'sh', 'tar', 'ps']);
      return openBench({ env: { PATH }, config: [underDash] });
    },
  },
  ...(existsSync(BUSYBOX)
    ? [
        {
          name: 'busybox',
          open: async (): Promise<TransportBench> => {
            const folder = boxFolder();
            await mkdir(folder, { mode: 0o755 });
            const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n');
            for (const name of applets.filter(Boolean))
              await symlink(BUSYBOX, path.join(folder, name));
            return openBench({
              env: { PATH: folder },
              config: [`ForceCommand exec ${folder}/sh -c "$SSH_ORIGINAL_COMMAND"`],
            });
          },
        },
      ]
    : []),
  {
    name: 'a login that prints noise on both outputs',
    open: async () => {
      const bench = await openBench();
      await writeFile(
        path.join(bench.podHome, '.bashrc'),
        `printf 'Welcome!\\n\\033[31mred\\033[0m \\0 \\377\\n'; printf 'quota: 0 used\\n' >&2; head -c 70000 /dev/zero | tr '\\0' n\n`,
      );
      return bench;
    },
  },
  {
    name: 'umask 077',
    open: async () => {
      const bench = await openBench();
      await writeFile(path.join(bench.podHome, '.bashrc'), 'umask 077\n');
      return bench;
    },
  },
  {
    name: 'a login that is not root',
    open: async () => {
      const bench = await openBench({
        config: [
          'ForceCommand exec /usr/bin/setpriv --reuid=54321 --regid=54321 --clear-groups /bin/dash -c "$SSH_ORIGINAL_COMMAND"',
        ],
      });
      await chmod(bench.sshd.folder, 0o755);
      await chown(bench.podHome, 54_321, 54_321);
      return bench;
    },
  },
  {
    name: 'a clock one year behind',
    open: async () => {
      const year = 365 * 86_400;
      const PATH = boxFolder();
      await toolbox(PATH, [], {
        date: `case $1 in -r) exec /bin/date "$@";; esac; exec /bin/date -d "@$(($(/bin/date +%s) - ${year}))" "$@"`,
      });
      return openBench({ env: { PATH: `${PATH}:/usr/bin:/bin` } });
    },
  },
];

describe.each(KINDS)('a pod with $name', ({ open }) => {
  it('carries a session, a job and files both ways, all of it true', async () => {
    const bench = await open();
    const project = path.join(bench.workspace, 'project');
    await mkdir(path.join(project, 'sub'), { recursive: true });
    await writeFile(path.join(project, 'run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
    await writeFile(path.join(project, "sub/it's $HOME\n two"), 'odd');
    await writeFile(path.join(project, 'big.bin'), bytesFrom(1, 3 << 20));
    expect(await sync(bench)).toMatchObject({ sent: { files: 3 }, verified: true });
    const remote = path.join(bench.podHome, 'project');
    expect(await hashesOf(remote)).toEqual(await hashesOf(project));
    await writeFile(path.join(project, "sub/it's $HOME\n two"), 'ODD');
    await writeFile(path.join(project, 'new'), '');
    expect(await sync(bench)).toMatchObject({
      sent: { files: 2 },
      unchanged: { files: 2 },
      verified: true,
    });
    expect(await sync(bench)).toMatchObject({ sent: { files: 0 }, unchanged: { files: 4 } });
    expect(await hashesOf(remote)).toEqual(await hashesOf(project));

    const id = await openShell(bench);
    const write = typing(bench, id);
    expect(await write('cd project; X=1; (exit 7)')).toMatchObject({ done: true, exitCode: 7 });
    expect(await write('echo "$X $(./run.sh)"')).toMatchObject({ exitCode: 0, output: '1 ran\n' });

    const report = await runJob(
      bench,
      'mkdir -p out/deep; head -c 2000000 /dev/zero >out/zero.bin; echo "{}" >out/deep/a.json; echo said; exit 4',
    );
    expect(report).toMatchObject({ status: 'failed', exitCode: 4, output: 'said\n' });
    expect(report.runtimeSeconds ?? 0).toBeLessThan(60);

    const fetched = await fetch(bench);
    expect(fetched).toMatchObject({ missing: [], manifest: { totalFiles: 2 } });
    const home = path.join(bench.workspace, 'results');
    const out = path.join(bench.podHome, 'out');
    expect(await hashesOf(path.join(home, 'out'))).toEqual(await hashesOf(out));
    await writeFile(path.join(out, 'deep/a.json'), '[]');
    expect(await fetch(bench)).toMatchObject({ manifest: { totalFiles: 2 } });
    expect(await readFile(path.join(home, 'out/deep/a.json'), 'utf8')).toBe('[]');
  });
});

it('a clock that jumps ends no job early and no deadline late [JO-17]', async () => {
  const folder = boxFolder();
  const offset = `${folder}.offset`;
  closers.push(async () => rm(offset, { force: true }));
  await writeFile(offset, '0\n');
  await toolbox(folder, [], {
    date: `case $1 in -r) exec /bin/date "$@";; esac; read -r o <${offset}; exec /bin/date -d "@$(($(/bin/date +%s) + o))" "$@"`,
  });
  const bench = await openBench({ env: { PATH: `${folder}:/usr/bin:/bin` } });
  const whole = runJob(bench, 'sleep 4; echo end; exit 7');
  await delay(1500);
  await writeFile(offset, `${365 * 86_400}\n`);
  expect(await whole).toMatchObject({ status: 'failed', exitCode: 7, output: 'end\n' });
  const bound = runJob(bench, 'sleep 100', 4 / 60);
  await delay(1500);
  await writeFile(offset, `${-365 * 86_400}\n`);
  expect(await bound).toMatchObject({ status: 'timed_out' });
});

it('files with times of next year and of long ago go both ways and are not sent again', async () => {
  const bench = await openBench();
  const project = path.join(bench.workspace, 'project');
  const times = { ahead: 2_000_000_000, past: 1 } as const;
  for (const [name, seconds] of Object.entries(times)) {
    await writeFile(path.join(project, name), name);
    await utimes(path.join(project, name), seconds, seconds);
  }
  expect(await sync(bench)).toMatchObject({ sent: { files: 2 } });
  expect(await sync(bench)).toMatchObject({ sent: { files: 0 } });
  for (const [name, seconds] of Object.entries(times)) {
    // As long as it was, and as old as it was.
    await writeFile(path.join(project, name), name.toUpperCase());
    await utimes(path.join(project, name), seconds, seconds);
  }
  expect(await sync(bench)).toMatchObject({ sent: { files: 2 } });
  const remote = path.join(bench.podHome, 'project');
  expect(await hashesOf(remote)).toEqual(await hashesOf(project));
  await fetch(bench, { paths: ['project'] });
  for (const [name, seconds] of Object.entries(times)) {
    await writeFile(path.join(remote, name), name);
    await utimes(path.join(remote, name), seconds, seconds);
  }
  await fetch(bench, { paths: ['project'] });
  expect(await hashesOf(path.join(bench.workspace, 'results/project'))).toEqual(
    await hashesOf(remote),
  );
});

/** Names of one byte, and of one in the middle: every byte but NUL and the slash. */
const names: readonly Buffer[] = Array.from({ length: 255 }, (_, index) => index + 1)
  .filter((byte) => byte !== 0x2f)
  .flatMap((byte) => [
    ...(byte === 0x2e ? [] : [Buffer.from([byte])]),
    Buffer.from([0x61, byte, 0x7a]),
  ]);
function isText(name: Buffer): boolean {
  return Buffer.from(name.toString('utf8')).equals(name);
}
async function writeNames(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of names)
    await writeFile(Buffer.concat([Buffer.from(`${folder}/`), name]), Buffer.concat([name, name]));
}
async function namesIn(folder: string): Promise<readonly string[]> {
  const found = await readdir(Buffer.from(folder), { encoding: 'buffer' });
  return found
    .filter((name) => !name.toString('latin1').startsWith('.gpu-lease'))
    .map((name) => name.toString('hex'))
    .sort();
}

it('a file of any name goes over or is told, and none goes over as another', async () => {
  const bench = await openBench();
  await writeNames(path.join(bench.workspace, 'project'));
  const result = await sync(bench);
  const remote = path.join(bench.podHome, 'project');
  const there = await namesIn(remote);
  expect(there.length + result.skippedCount).toBe(names.length);
  for (const name of names.filter(isText)) expect(there).toContain(name.toString('hex'));
  for (const hex of there) {
    const name = Buffer.from(hex, 'hex');
    expect(await readFile(Buffer.concat([Buffer.from(`${remote}/`), name]))).toEqual(
      Buffer.concat([name, name]),
    );
  }
});

it('a result of any name comes home or is told, and none comes as another', async () => {
  const bench = await openBench();
  await writeNames(path.join(bench.podHome, 'out'));
  const result = await fetch(bench);
  const home = path.join(bench.workspace, 'results/out');
  const here = await namesIn(home);
  for (const name of names.filter(isText)) expect(here).toContain(name.toString('hex'));
  for (const hex of here) {
    const name = Buffer.from(hex, 'hex');
    expect(await readFile(Buffer.concat([Buffer.from(`${home}/`), name]))).toEqual(
      Buffer.concat([name, name]),
    );
  }
  if (here.length < names.length) expect(result.refused?.length).toBeGreaterThan(0);
});

/** What may come of files that do not stay as they are. */
const MOVING_CODES = ['checksum_mismatch', 'path_missing'];

it('files that change, grow and vanish while they are sent arrive as they once were', async () => {
  const bench = await openBench();
  const project = path.join(bench.workspace, 'project');
  const text = (version: number, lines: number): string => `version ${version}\n`.repeat(lines);
  await writeFile(path.join(project, 'steady.bin'), bytesFrom(2, 4 << 20));
  const stop = new AbortController();
  closers.push(async () => {
    stop.abort();
    await editing;
  });
  const editing = (async () => {
    for (let version = 1; !stop.signal.aborted; version += 1) {
      await writeFile(path.join(project, 'edited.txt'), text(version, 4000));
      await writeFile(path.join(project, 'growing.log'), `${version}\n`, { flag: 'a' });
      if (version % 2 === 0) await rm(path.join(project, 'fleeting.txt'), { force: true });
      else await writeFile(path.join(project, 'fleeting.txt'), text(version, 10));
      await delay(7);
    }
  })();
  await expect
    .poll(() => existsSync(path.join(project, 'growing.log')), { timeout: 10_000 })
    .toBe(true);
  const codes: string[] = [];
  for (let round = 0; round < 4; round += 1)
    await sync(bench).then(
      (result) => {
        expect(result.verified).toBe(true);
        codes.push('synced');
      },
      (thrown: unknown) => {
        codes.push(codeOf(thrown, MOVING_CODES));
      },
    );
  expect(codes).toHaveLength(4);
  stop.abort();
  await editing;
  // When it is quiet, the next call makes all equal.
  await sync(bench, { delete: true });
  expect(await hashesOf(path.join(bench.podHome, 'project'))).toEqual(await hashesOf(project));
});

it('files that change, grow and vanish while they are fetched come whole or are told', async () => {
  const bench = await openBench();
  const out = path.join(bench.podHome, 'out');
  await mkdir(out);
  await writeFile(path.join(out, 'steady.bin'), bytesFrom(3, 4 << 20));
  const stop = new AbortController();
  closers.push(async () => {
    stop.abort();
    await training;
  });
  const training = (async () => {
    for (let step = 1; !stop.signal.aborted; step += 1) {
      // As trainers do: aside, then renamed; and a log that grows.
      await writeFile(path.join(bench.podHome, 'aside'), `step ${step}\n`.repeat(3000));
      execFileSync('mv', [path.join(bench.podHome, 'aside'), path.join(out, 'last.txt')]);
      await writeFile(path.join(out, 'train.log'), `${step}\n`, { flag: 'a' });
      if (step % 2 === 0) await rm(path.join(out, 'lock.txt'), { force: true });
      else await writeFile(path.join(out, 'lock.txt'), 'x');
      await delay(7);
    }
  })();
  await expect.poll(() => existsSync(path.join(out, 'train.log')), { timeout: 10_000 }).toBe(true);
  const codes: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const localPath = `results-${round}`;
    await fetch(bench, { localPath }).then(
      async ({ manifest }) => {
        codes.push('fetched');
        for (const file of manifest.files) {
          const content = await readFile(file.localPath, 'utf8');
          if (file.path.endsWith('last.txt'))
            expect(new Set(content.split('\n').filter(Boolean)).size).toBe(1);
        }
      },
      (thrown: unknown) => {
        codes.push(codeOf(thrown, MOVING_CODES));
      },
    );
  }
  expect(codes).toHaveLength(3);
  stop.abort();
  await training;
  await fetch(bench, { localPath: 'quiet' });
  expect(await hashesOf(path.join(bench.workspace, 'quiet/out'))).toEqual(await hashesOf(out));
});

it('what the login may not read or write is told, and costs nothing else', async () => {
  const bench = await openBench({
    config: [
      'ForceCommand exec /usr/bin/setpriv --reuid=54321 --regid=54321 --clear-groups /bin/dash -c "$SSH_ORIGINAL_COMMAND"',
    ],
  });
  await chmod(bench.sshd.folder, 0o755);
  await chown(bench.podHome, 54_321, 54_321);
  const out = path.join(bench.podHome, 'out');
  await mkdir(path.join(out, 'closed'), { recursive: true });
  await writeFile(path.join(out, 'open.txt'), 'open');
  await writeFile(path.join(out, 'secret.txt'), 'root only', { mode: 0o600 });
  await writeFile(path.join(out, 'closed/inside.txt'), 'inside');
  await chmod(path.join(out, 'closed'), 0o700);
  const fetched = await fetch(bench);
  expect(fetched.manifest.files.map((file) => file.path)).toEqual(['out/open.txt']);
  const refused = fetched.refused?.map((one) => one.path) ?? [];
  expect([...refused].sort()).toEqual(['out/closed', 'out/secret.txt']);

  const project = path.join(bench.workspace, 'project');
  await mkdir(path.join(project, 'locked'), { recursive: true });
  await writeFile(path.join(project, 'a.txt'), 'old');
  await writeFile(path.join(project, 'locked/b.txt'), 'old');
  await sync(bench);
  const remote = path.join(bench.podHome, 'project');
  await chown(path.join(remote, 'locked'), 0, 0);
  await chmod(path.join(remote, 'locked'), 0o755);
  await writeFile(path.join(project, 'a.txt'), 'new');
  await writeFile(path.join(project, 'locked/b.txt'), 'new');
  await expect(sync(bench)).rejects.toMatchObject({ code: 'remote_failed' });
  expect(await readFile(path.join(remote, 'locked/b.txt'), 'utf8')).toBe('old');
  expect(['old', 'new']).toContain(await readFile(path.join(remote, 'a.txt'), 'utf8'));
  expect((await readdir(remote)).filter((name) => name.startsWith('.gpu-lease'))).toEqual([]);
  await chown(path.join(remote, 'locked'), 54_321, 54_321);
  await sync(bench);
  expect(await hashesOf(remote)).toEqual(await hashesOf(project));
});

it('a full disk on the pod is disk_full at each step, loses nothing, and all goes on when there is room [SY-22]', async () => {
  const bench = await openBench();
  const { podHome, workspace, jobs, podId } = bench;
  const project = path.join(workspace, 'project');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', podHome]);
  closers.push(async () => {
    execFileSync('umount', ['-l', podHome]);
    return Promise.resolve();
  });
  const id = await openShell(bench);
  const write = typing(bench, id);
  expect(await write('echo before')).toMatchObject({ output: 'before\n' });
  await writeFile(path.join(project, 'a.bin'), 'old');
  await sync(bench, { remotePath: path.join(podHome, 'project') });
  const { job } = await within(60, async (signal) =>
    jobs.start(
      {
        podId,
        command: 'sleep 3; exit 8',
        env: {},
        secretEnv: [],
        artifacts: [],
        maxRuntimeMinutes: 5,
      },
      { signal },
    ),
  );
  const filler = path.join(podHome, 'filler');
  execFileSync('sh', ['-c', `cat /dev/zero >"${filler}" 2>/dev/null; exit 0`]);
  const full = expect.objectContaining({ code: 'disk_full' }) as unknown;
  const failure = (thrown: unknown): unknown => thrown;
  await writeFile(path.join(project, 'a.bin'), bytesFrom(4, 1 << 20));
  expect(await sync(bench, { remotePath: path.join(podHome, 'project') }).catch(failure)).toEqual(
    full,
  );
  expect(await readFile(path.join(podHome, 'project/a.bin'), 'utf8')).toBe('old');
  expect(await write('echo during').catch(failure)).toEqual(full);
  expect(
    await within(60, async (signal) =>
      jobs.start(
        {
          podId,
          command: 'echo never',
          env: {},
          secretEnv: [],
          artifacts: [],
          maxRuntimeMinutes: 5,
        },
        { signal },
      ),
    ).catch(failure),
  ).toEqual(full);
  expect(
    await within(10, async (signal) =>
      bench.ssh.sessions.open(podId, { reuse: false }, { signal }),
    ).catch(failure),
  ).toEqual(full);
  // What is there still comes home.
  await mkdir(path.join(workspace, 'home'), { recursive: true });
  const fetched = await fetch(bench, { paths: [path.join(podHome, 'project')], localPath: 'home' });
  expect(fetched.manifest.totalFiles).toBe(1);
  await rm(filler);
  const report = await within(60, async (signal) =>
    jobs.wait(job.jobId, { waitSeconds: 30, offset: 0, maxBytes: 100 }, { signal }),
  );
  expect(['failed', 'running']).toContain(report.status);
  expect(await write('echo after')).toMatchObject({ done: true, output: 'after\n' });
  // A command that fills the disk which its own transcript is on.
  expect(
    await write('cat /dev/zero >~/filler; rm ~/filler; echo "room again"; (exit 6)'),
  ).toMatchObject({
    done: true,
    exitCode: 6,
    output: expect.stringContaining('room again\n') as string,
  });
  await sync(bench, { remotePath: path.join(podHome, 'project') });
  expect(await hashesOf(path.join(podHome, 'project'))).toEqual(await hashesOf(project));
});
