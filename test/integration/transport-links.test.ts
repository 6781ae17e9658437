import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import type { SessionId } from '../../src/core/ids.ts';
import { isTerminal } from '../../src/core/job.ts';
import type { SessionPage, SessionWritten } from '../../src/core/session.ts';
import type { Fault } from '../support/fault-proxy.ts';
import { type TransportBench, type TransportOptions, within } from '../support/transport-bench.ts';
import { keepBenches } from '../support/transport-calls.ts';
import { codeOf, fetchWork, syncWork, type Work } from '../support/transport-works.ts';

/** Links are found dead after 1.5 to 2 s. */
const KEEPALIVE_SECONDS = 0.5;

/** Each call has a limit of its own; these are for a machine that is busy with others. */
vi.setConfig({ testTimeout: 180_000 });

const { openBench } = keepBenches({ keepaliveSeconds: KEEPALIVE_SECONDS });

interface Shell {
  readonly bench: TransportBench;
  readonly id: SessionId;
  readonly write: (input: string, waitSeconds?: number) => Promise<SessionWritten>;
  readonly read: (offset: number, waitSeconds?: number) => Promise<SessionPage>;
  readonly lines: (file: string) => Promise<readonly string[]>;
}
async function openShell(options: TransportOptions = {}): Promise<Shell> {
  const bench = await openBench(options);
  const { ssh, podId } = bench;
  const { sessionId: id } = await within(30, async (signal) =>
    ssh.sessions.open(podId, { reuse: false }, { signal }),
  );
  const shell: Shell = {
    bench,
    id,
    write: async (input, waitSeconds = 30) =>
      within(waitSeconds + 20, async (signal) =>
        ssh.sessions.write(id, { input, newline: true, secret: false, waitSeconds }, { signal }),
      ),
    read: async (offset, waitSeconds = 0) =>
      within(waitSeconds, async (signal) =>
        ssh.sessions.read(
          id,
          { offset, maxBytes: 40_000, waitSeconds, format: 'clean' },
          { signal },
        ),
      ),
    lines: async (file) => {
      const text = await readFile(path.join(bench.podHome, file), 'utf8').catch(() => '');
      return text.split('\n').filter(Boolean);
    },
  };
  // The channels that later calls use stand before the fault comes.
  for (const round of [1, 2])
    expect(await shell.write(`echo ${round}`)).toMatchObject({ done: true });
  return shell;
}
async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
}
async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
/** Every process of the server for the connections that are open now. */
async function sessionsOf(pid: number): Promise<readonly number[]> {
  const direct = await childrenOf(pid);
  const below = await Promise.all(
    direct.map(async (child) => {
      const inner = await childrenOf(child);
      const names = await Promise.all(
        inner.map(async (one) => readFile(`/proc/${one}/comm`, 'utf8').catch(() => '')),
      );
      return inner.filter((_, index) => names[index]?.startsWith('sshd') === true);
    }),
  );
  return [...direct, ...below.flat()];
}

it('a link that went silent while a command ran is replaced, under the same session id [SE-21, SE-22]', async () => {
  const { bench, write, read, lines } = await openShell();
  const running = write('echo began; sleep 1; echo once >>"$HOME/ran"; echo finished; (exit 5)');
  await delay(500);
  bench.proxy.strikeAll({ kind: 'silence' });
  let written: SessionWritten | undefined;
  const seconds = await secondsOf(async () => {
    written = await running;
  });
  expect(written).toMatchObject({ done: true, exitCode: 5, output: 'began\nfinished\n' });
  expect(seconds).toBeLessThan(15);
  expect(await lines('ran')).toEqual(['once']);
  const page = await read(0);
  expect(page.output.match(/^finished$/gm)).toHaveLength(1);
});

it('a write into a link that is dead already is typed once', async () => {
  const { bench, write, lines } = await openShell();
  for (const round of [1, 2, 3]) {
    bench.proxy.strikeAll({ kind: 'silence' });
    const written = await write(`echo ${round} >>"$HOME/ran"; echo shown-${round}`);
    expect(written).toMatchObject({ done: true, exitCode: 0, output: `shown-${round}\n` });
  }
  expect(await lines('ran')).toEqual(['1', '2', '3']);
});

it('while nobody answers at all every call ends in time with an answer or an error of ours', async () => {
  const { bench, write, read, id } = await openShell();
  const { proxy, ssh, podId, jobs } = bench;
  const started = await within(60, async (signal) =>
    jobs.start(
      {
        podId,
        command: 'sleep 3; exit 9',
        env: {},
        secretEnv: [],
        artifacts: [],
        maxRuntimeMinutes: 5,
      },
      { signal },
    ),
  );
  proxy.newLinks = 'silent';
  proxy.strikeAll({ kind: 'silence' });
  const codes = await Promise.all([
    read(0, 2).then((page) => page.state),
    write('echo never', 2).catch((thrown: unknown) => thrown),
    within(30, async (signal) =>
      ssh.remote.exec(podId, 'true', { signal, timeoutSeconds: 20 }),
    ).catch((thrown: unknown) => thrown),
    within(45, async (signal) =>
      jobs.wait(started.job.jobId, { waitSeconds: 2, offset: 0, maxBytes: 100 }, { signal }),
    ).then((report) => report.status),
    within(45, async (signal) => ssh.sessions.open(podId, { reuse: false }, { signal })).catch(
      (thrown: unknown) => thrown,
    ),
  ]);
  const link = expect.objectContaining({
    code: expect.stringMatching(/^(ssh_unreachable|link_lost)$/) as string,
  }) as unknown;
  expect(codes).toEqual(['unreachable', link, link, 'running_unreachable', link]);
  proxy.newLinks = 'pass';
  await expect.poll(async () => (await read(0)).state, { timeout: 40_000 }).toBe('idle');
  expect((await bench.ssh.sessions.list(podId)).some((one) => one.sessionId === id)).toBe(true);
  expect(await write('echo back')).toMatchObject({ done: true, output: 'back\n' });
  const report = await within(40, async (signal) =>
    jobs.wait(started.job.jobId, { waitSeconds: 30, offset: 0, maxBytes: 100 }, { signal }),
  );
  expect(report).toMatchObject({ status: 'failed', exitCode: 9 });
}, 150_000);

const moves: readonly {
  name: string;
  open: (bench: TransportBench) => Work;
  direction: 'up' | 'down';
}[] = [
  { name: 'sync', open: (bench) => syncWork(bench, { bytes: 4 << 20 }), direction: 'up' },
  { name: 'fetch', open: (bench) => fetchWork(bench, { bytes: 4 << 20 }), direction: 'down' },
];
const faults: readonly { words: string; fault: Fault }[] = [
  { words: 'goes silent', fault: { kind: 'silence' } },
  { words: 'stands still for 1 s', fault: { kind: 'stall', seconds: 1 } },
  { words: 'stands still until it is given up', fault: { kind: 'stall', seconds: 6 } },
  { words: 'carries one byte a second for a while', fault: { kind: 'drip', seconds: 3 } },
];
it.each(moves)(
  '$name ends whole whatever the link does in the middle',
  async ({ open, direction }) => {
    const bench = await openBench();
    const work = open(bench);
    expect(await work.run(1)).toEqual({ codes: [], lost: 0, doubled: 0 });
    for (const [index, { words, fault }] of faults.entries()) {
      const set = bench.proxy.strike({ byte: 2 << 20, direction, fault });
      const seconds = await secondsOf(async () => {
        expect(await work.run(index + 2), words).toMatchObject({ lost: 0, doubled: 0 });
      });
      expect(set.struck, words).toBe(true);
      expect(seconds, words).toBeLessThan(60);
    }
  },
);

it.each(moves)(
  '$name ends whole when the process of its connection is killed',
  async ({ open, direction }) => {
    const bench = await openBench();
    const work = open(bench);
    await work.run(1);
    for (const turn of [2, 3]) {
      const set = bench.proxy.strike({
        byte: 2 << 20,
        direction,
        fault: { kind: 'stall', seconds: 0.3 },
      });
      const running = work.run(turn);
      await set.when;
      expect(await bench.sshd.cut()).toBeGreaterThan(0);
      expect(await running).toMatchObject({ lost: 0, doubled: 0 });
    }
  },
);

it.each(moves)(
  '$name ends whole when the server is restarted on its port',
  async ({ open, direction }) => {
    const bench = await openBench();
    const work = open(bench);
    await work.run(1);
    const set = bench.proxy.strike({
      byte: 2 << 20,
      direction,
      fault: { kind: 'stall', seconds: 0.3 },
    });
    const running = work.run(2);
    await set.when;
    await bench.sshd.stop();
    await bench.sshd.start();
    expect(await running).toMatchObject({ lost: 0, doubled: 0 });
  },
);

it('what stood still in a stopped server is not typed again when it goes on', async () => {
  const { bench, write, lines } = await openShell();
  const stopped = await sessionsOf(bench.sshd.pid);
  expect(stopped.length).toBeGreaterThan(0);
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  try {
    // The request lies in the stopped process's socket; the answer comes over a new connection.
    expect(await write('echo first >>"$HOME/ran"; echo shown; (exit 4)')).toMatchObject({
      done: true,
      exitCode: 4,
      output: 'shown\n',
    });
  } finally {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
  }
  // What the stopped processes had in hand is carried out before they notice that nobody is there.
  await expect
    .poll(async () => (await sessionsOf(bench.sshd.pid)).some((pid) => stopped.includes(pid)), {
      timeout: 20_000,
    })
    .toBe(false);
  expect(await write('echo second >>"$HOME/ran"; echo next')).toMatchObject({ output: 'next\n' });
  expect(await lines('ran')).toEqual(['first', 'second']);
});

it('a listener that stands still is ssh_unreachable in time, and no harm when it goes on', async () => {
  const { bench, write, lines } = await openShell();
  const { ssh, sshd, podId } = bench;
  await ssh.remote.disconnect(podId);
  process.kill(sshd.pid, 'SIGSTOP');
  try {
    const ended = await within(30, async (signal) =>
      ssh.remote.exec(podId, 'echo x >>"$HOME/ran"', { signal, timeoutSeconds: 5 }),
    ).catch((thrown: unknown) => thrown);
    expect(ended).toMatchObject({
      code: expect.stringMatching(/^(ssh_unreachable|command_timeout)$/) as string,
    });
  } finally {
    process.kill(sshd.pid, 'SIGCONT');
  }
  expect(await write('echo on')).toMatchObject({ output: 'on\n' });
  expect(await lines('ran')).toEqual([]);
}, 90_000);

it('a restarted server finds the shell where it was, and the job ended as it did', async () => {
  const { bench, write, read, lines } = await openShell();
  const { jobs, podId, sshd } = bench;
  await write('V=kept; cd /tmp');
  const { job } = await within(60, async (signal) =>
    jobs.start(
      {
        podId,
        command: 'echo one >>"$HOME/job"; sleep 2; echo two >>"$HOME/job"; exit 6',
        env: {},
        secretEnv: [],
        artifacts: [],
        maxRuntimeMinutes: 5,
      },
      { signal },
    ),
  );
  const running = write('for i in 1 2 3; do echo "tick $i"; sleep 0.5; done; (exit 3)');
  await delay(600);
  for (let times = 0; times < 2; times += 1) {
    await sshd.stop();
    await sshd.start();
  }
  const written = await running;
  expect(written).toMatchObject({ done: true, exitCode: 3, output: 'tick 1\ntick 2\ntick 3\n' });
  expect(await write('echo "$V $PWD"')).toMatchObject({ output: 'kept /tmp\n' });
  const page = await read(0);
  expect(page.output.match(/^tick \d$/gm)).toEqual(['tick 1', 'tick 2', 'tick 3']);
  await expect
    .poll(
      async () => {
        const report = await within(40, async (signal) =>
          jobs.wait(job.jobId, { waitSeconds: 5, offset: 0, maxBytes: 100 }, { signal }),
        );
        return isTerminal(report.status) ? report.exitCode : undefined;
      },
      { timeout: 40_000 },
    )
    .toBe(6);
  expect(await lines('job')).toEqual(['one', 'two']);
});

it('a server that drops new connections for a while is no failure of the command, or said to be unreachable', async () => {
  const bench = await openBench();
  const { proxy, ssh, podId } = bench;
  const codes: string[] = [];
  for (const drops of [1, 2, 3]) {
    await ssh.remote.disconnect(podId);
    const first = proxy.carried().links;
    proxy.everyNew((link) =>
      link < first + drops ? [{ byte: 1, direction: 'down', fault: { kind: 'end' } }] : [],
    );
    const run = async (): Promise<string> =>
      within(60, async (signal) =>
        ssh.remote.exec(podId, `echo ${drops} >>"$HOME/ran"`, { signal, timeoutSeconds: 30 }),
      ).then(() => 'ran', codeOf);
    for (let tries = 0; tries <= drops; tries += 1) {
      const ended = await run();
      codes.push(ended);
      if (ended === 'ran') break;
    }
  }
  proxy.everyNew(undefined);
  expect(new Set(codes.filter((code) => code !== 'ran'))).toEqual(
    codes.every((code) => code === 'ran') ? new Set() : new Set(['ssh_unreachable']),
  );
  expect(await readFile(path.join(bench.podHome, 'ran'), 'utf8')).toBe('1\n2\n3\n');
});

it('a long round trip changes nothing but the time', async () => {
  const { bench, write, read } = await openShell({ keepaliveSeconds: 10 });
  bench.proxy.delaySeconds = 0.05;
  await writeFile(path.join(bench.podHome, 'text'), 'x\n');
  const written = await write('seq 1 2000; (exit 2)');
  expect(written).toMatchObject({ done: true, exitCode: 2 });
  let text = '';
  for (let offset = written.offset; ; ) {
    const page = await read(offset);
    expect(page.offset).toBe(offset);
    text += page.output;
    offset = page.nextOffset;
    if (!page.hasMore) break;
  }
  expect(text.split('\n').filter((line) => /^\d+$/.test(line))).toEqual(
    Array.from({ length: 2000 }, (_, index) => String(index + 1)),
  );
});

it.each([
  { words: 'new links are answered', newLinks: 'pass' },
  { words: 'new links are never answered', newLinks: 'silent' },
] as const)(
  'a silent link that nobody has found yet holds no call longer than its own limit: $words',
  async ({ newLinks }) => {
    const { bench, write, read, lines } = await openShell({ keepaliveSeconds: 60 });
    const shown = await write('echo shown');
    bench.proxy.newLinks = newLinks;
    bench.proxy.strikeAll({ kind: 'silence' });
    const [page, failure] = await Promise.all([
      read(0, 2),
      write('echo x >>"$HOME/ran"', 2).catch((thrown: unknown) => thrown),
    ]);
    expect(page.state).toBe('unreachable');
    // The request was sent over the link that was silent already.
    expect(failure).toMatchObject({
      code: 'link_lost',
      hint: expect.stringContaining(`offset ${shown.nextOffset},`) as string,
    });
    expect(shown.nextOffset).toBeGreaterThan(0);
    expect(await lines('ran')).toEqual([]);
  },
);

it('a write for which no connection comes is ssh_unreachable in time, and was not typed', async () => {
  const { bench, write, read, lines } = await openShell();
  await bench.ssh.remote.disconnect(bench.podId);
  bench.proxy.newLinks = 'silent';
  const [page, failure] = await Promise.all([
    read(0, 2),
    write('echo x >>"$HOME/ran"', 2).catch((thrown: unknown) => thrown),
  ]);
  expect(page.state).toBe('unreachable');
  expect(failure).toMatchObject({ code: 'ssh_unreachable' });
  bench.proxy.newLinks = 'pass';
  await expect.poll(async () => (await read(0)).state, { timeout: 40_000 }).toBe('idle');
  expect(await write('echo back')).toMatchObject({ done: true, output: 'back\n' });
  expect(await lines('ran')).toEqual([]);
});

it('a link that is reset before anybody speaks is ssh_unreachable, and nothing else breaks', async () => {
  const bench = await openBench();
  const { proxy, ssh, podId } = bench;
  proxy.newLinks = 'reset';
  for (let times = 0; times < 5; times += 1)
    await expect(
      within(60, async (signal) => ssh.remote.exec(podId, 'true', { signal, timeoutSeconds: 30 })),
    ).rejects.toMatchObject({ code: 'ssh_unreachable' });
  proxy.newLinks = 'pass';
  const done = await within(60, async (signal) =>
    ssh.remote.exec(podId, 'echo on', { signal, timeoutSeconds: 30 }),
  );
  expect(done.stdout.toString()).toBe('on\n');
});
