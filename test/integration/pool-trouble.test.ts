import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { Redactor } from '../../src/core/redact.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startDelayProxy } from '../support/delay-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { fc } from '../support/property.ts';
import { type SshdOptions, startSshd, type TestSshd } from '../support/sshd.ts';

const signal = new AbortController().signal;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

type Ssh = ReturnType<typeof createSsh>;

function connected(sshd: TestSshd, endpoint: SshEndpoint, keepaliveSeconds?: number): Ssh {
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
    keepaliveSeconds,
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  return ssh;
}

async function setUp(given: SshdOptions = {}): Promise<{
  sshd: TestSshd;
  ssh: Ssh;
  text: (script: string, timeoutSeconds?: number) => Promise<string>;
}> {
  const sshd = await startSshd(given);
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const ssh = connected(sshd, sshd.endpoint);
  const text = async (script: string, timeoutSeconds = 20): Promise<string> =>
    textOf(ssh, sshd, script, timeoutSeconds);
  return { sshd, ssh, text };
}

async function textOf(
  ssh: Ssh,
  { endpoint: { podId } }: TestSshd,
  script: string,
  timeoutSeconds = 20,
): Promise<string> {
  return (await ssh.remote.exec(podId, script, { signal, timeoutSeconds })).stdout.toString();
}

/** Pids of the shells on the machine that wait for a command. */
async function waiting(home: string): Promise<readonly number[]> {
  const { readdir } = await import('node:fs/promises');
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const environ = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    if (!environ.split('\0').includes(`HOME=${home}`)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.startsWith('sh\0-c\0') && line.includes('IFS= read -r l || exit 0'))
      found.push(Number(name));
  }
  return found;
}

const warmed = async (sshd: TestSshd): Promise<readonly number[]> => {
  await expect.poll(async () => waiting(sshd.home), { timeout: 5000 }).not.toEqual([]);
  return waiting(sshd.home);
};

it('no channel waits before a first command, and none for longer than it is of use', async () => {
  const sshd = await startSshd();
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
    // Long enough for one look through all processes of a busy machine.
    idleSeconds: 3,
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  expect(sshd.log()).not.toContain('Accepted publickey');
  await textOf(ssh, sshd, 'true');
  await warmed(sshd);
  await expect.poll(async () => waiting(sshd.home), { timeout: 12_000 }).toEqual([]);
  // The connection itself follows.
  await expect.poll(() => sshd.log(), { timeout: 12_000 }).toMatch(/Disconnected from user/);
  expect(await textOf(ssh, sshd, 'echo back')).toBe('back\n');
});

it('a command on a waiting channel is as any other: folder, environment, streams, status, input', async () => {
  const { sshd, ssh, text } = await setUp();
  const { podId } = sshd.endpoint;
  const script = `pwd; echo "\${l-unset} \${s-unset} \${nl-unset} $0 $#"; printf 'a\\nb' >&2
printf '%s|' "it's" '$HOME' "back\\slash" 'tab	end' '
two lines' 'ü€😀' '!x' '~'
cat; exit 42`;
  const results = [];
  for (let round = 0; round < 2; round += 1) {
    if (round === 1) await warmed(sshd);
    const result = await ssh.remote.exec(podId, script, {
      signal,
      timeoutSeconds: 20,
      stdin: 'in\0put',
    });
    results.push({ ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() });
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[1]).toMatchObject({ exitCode: 42, stderr: 'a\nb' });
  expect(results[1]?.stdout).toContain('unset unset unset sh 0\n');
  await warmed(sshd);
  expect((await ssh.remote.exec(podId, 'if then', { signal, timeoutSeconds: 20 })).exitCode).toBe(
    2,
  );
  await warmed(sshd);
  expect(
    (await ssh.remote.exec(podId, 'kill -9 $$', { signal, timeoutSeconds: 20 })).exitCode,
  ).toBe(137);
  await warmed(sshd);
  await expect(text('sleep 73.011 & sleep 73.012', 0.3)).rejects.toMatchObject({
    code: 'command_timeout',
  });
  expect(await text("ps -A -o args= | grep -c '[s]leep 73.01'; true")).toBe('0\n');
});

it('a waiting channel that died is not used: the command runs once, plainly', async () => {
  const { sshd, text } = await setUp();
  await text('true');
  for (let round = 0; round < 5; round += 1) {
    for (const pid of await warmed(sshd)) process.kill(pid, 'SIGKILL');
    expect(await text(`echo ${round} >> ran; cat ran`)).toMatch(
      new RegExp(`^(?:\\d\\n)*${round}\\n$`),
    );
  }
  expect(await text('cat ran')).toBe('0\n1\n2\n3\n4\n');
});

it('what is streamed to a waiting channel that died is never half done: told as a lost link, or done plainly', async () => {
  const { sshd, ssh, text } = await setUp();
  const { podId } = sshd.endpoint;
  await text(': > ran');
  const outcomes: string[] = [];
  for (let round = 0; round < 12; round += 1) {
    const waiting = await warmed(sshd);
    // Now and then so shortly before that nobody here knows of it yet.
    for (const pid of round % 3 === 0 ? waiting : []) process.kill(pid, 'SIGKILL');
    if (round % 3 === 0 && round % 2 === 0) await delay(30);
    const stdin = Readable.from([`n${round}.`, '\n']);
    const outcome = await ssh.remote
      .stream(podId, 'cat >> ran', { signal, timeoutSeconds: 20, stdin })
      .then(
        ({ exitCode }) => String(exitCode),
        (failure: unknown) => (isAppError(failure) ? failure.code : String(failure)),
      );
    outcomes.push(outcome);
  }
  const ran = (await text('cat ran')).split('\n');
  for (const [round, outcome] of outcomes.entries()) {
    expect(['0', 'link_lost']).toContain(outcome);
    expect(ran.filter((line) => line === `n${round}.`)).toHaveLength(outcome === '0' ? 1 : 0);
  }
  expect(outcomes.filter((outcome) => outcome === '0').length).toBeGreaterThanOrEqual(8);
});

it('a script and its input, or the first bytes of a stream, cost a waiting channel one round trip', async () => {
  const rttMs = 300;
  const { sshd } = await setUp();
  const proxy = await startDelayProxy(sshd.endpoint.port, { rttMs });
  closers.push(async () => proxy[Symbol.asyncDispose]());
  const { remote } = connected(sshd, { ...sshd.endpoint, port: proxy.port });
  const { podId } = sshd.endpoint;
  const once = { signal, timeoutSeconds: 20 };
  await remote.exec(podId, 'true', once);
  const ways = {
    exec: async () => remote.exec(podId, 'cat', { ...once, stdin: 'x'.repeat(20_000) }),
    stream: async () => remote.stream(podId, 'cat', { ...once, stdin: Readable.from(['x']) }),
  };
  for (const [name, way] of Object.entries(ways)) {
    const took: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      await warmed(sshd);
      // It is there, and home knows it.
      await delay(rttMs);
      const startedMs = performance.now();
      await way();
      took.push(performance.now() - startedMs);
    }
    expect(Math.min(...took), name).toBeGreaterThan(rttMs * 0.9);
    expect(Math.min(...took), name).toBeLessThan(rttMs * 1.8);
  }
});

it('a link killed at any moment around a command: it ran at most once, and an answer is the truth', async () => {
  const { sshd, text } = await setUp();
  await text(': > ran');
  const outcomes = new Map<string, string>();
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 12 }), fc.boolean(), async (waitMs, isWarm) => {
      await expect.poll(async () => text('true').catch(() => 'cut'), { timeout: 5000 }).toBe('');
      if (isWarm) await warmed(sshd);
      number += 1;
      const name = `n${number}.`;
      const running = text(`echo ${name} >> ran; echo done`).then(
        (said) => said,
        (failure: unknown) => (isAppError(failure) ? failure.code : String(failure)),
      );
      await delay(waitMs);
      await sshd.cut();
      outcomes.set(name, await running);
    }),
    { numRuns: 25 },
  );
  await expect.poll(async () => text('true').catch(() => 'cut'), { timeout: 5000 }).toBe('');
  const ran = (await text('cat ran')).split('\n');
  for (const [name, outcome] of outcomes) {
    const times = ran.filter((line) => line === name).length;
    expect(['done\n', 'link_lost', 'ssh_unreachable']).toContain(outcome);
    expect({ name, outcome, times }).toEqual({
      name,
      outcome,
      times: outcome === 'done\n' ? 1 : outcome === 'link_lost' ? Math.min(times, 1) : 0,
    });
  }
  // Both ends of the race were seen.
  expect(new Set(outcomes.values()).size).toBeGreaterThan(1);
}, 60_000);

it('one session a connection: many commands, a cancel and a session all work [SE-23]', async () => {
  const { sshd, ssh, text } = await setUp({ config: ['MaxSessions 1'] });
  const { podId } = sshd.endpoint;
  const many = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => text(`sleep 0.2; echo ${index}`)),
  );
  expect(many).toEqual(Array.from({ length: 8 }, (_, index) => `${index}\n`));
  for (let index = 0; index < 10; index += 1)
    expect(await text(`echo ${index}`)).toBe(`${index}\n`);
  await expect(text('sleep 73.021', 0.3)).rejects.toMatchObject({ code: 'command_timeout' });
  expect(await text("ps -A -o args= | grep -c '[s]leep 73.021'; true")).toBe('0\n');
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, { signal });
  for (let index = 0; index < 5; index += 1)
    expect(
      await ssh.sessions.write(
        sessionId,
        { input: `echo ${index}; (exit ${index})`, newline: true, secret: false, waitSeconds: 20 },
        { signal },
      ),
    ).toMatchObject({ done: true, exitCode: index, output: `${index}\n` });
  // A machine that has one place keeps none waiting.
  expect(await waiting(sshd.home)).toEqual([]);
});

it('keys are changed in the middle of a transfer and of a session without a byte lost', async () => {
  const { sshd, ssh } = await setUp({ config: ['RekeyLimit 256K'] });
  const { podId } = sshd.endpoint;
  let zeros = 0;
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      zeros += chunk.length;
      done();
    },
  });
  const size = 24 * 1024 * 1024;
  const moving = ssh.remote.stream(podId, `head -c ${size} /dev/zero`, {
    signal,
    timeoutSeconds: 60,
    stdout,
  });
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, { signal });
  for (let index = 0; index < 10; index += 1) {
    const written = await ssh.sessions.write(
      sessionId,
      {
        input: `head -c 30000 /dev/zero | tr '\\0' x; echo ${index}`,
        newline: true,
        secret: false,
        waitSeconds: 20,
      },
      { signal },
    );
    expect(written).toMatchObject({ done: true, exitCode: 0 });
  }
  expect((await moving).exitCode).toBe(0);
  expect(zeros).toBe(size);
});

it('a link that died in silence is found, and the same session goes on over another', async () => {
  const sshd = await startSshd();
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const proxy = await startFaultProxy(() => sshd.endpoint.port);
  closers.push(async () => proxy[Symbol.asyncDispose]());
  const ssh = connected(sshd, { ...sshd.endpoint, port: proxy.port }, 1);
  const { podId } = sshd.endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, { signal });
  const write = async (input: string) =>
    ssh.sessions.write(
      sessionId,
      { input, newline: true, secret: false, waitSeconds: 20 },
      { signal },
    );
  await write('V=kept');
  await write('true');
  proxy.strikeAll({ kind: 'silence' });
  const started = performance.now();
  const { output } = await write('echo "$V" >> said; cat said');
  expect(output).toBe('kept\n');
  // Three silent periods of a second, a new login, and room for a busy machine.
  expect(performance.now() - started).toBeLessThan(9000);
  // A silence that is longer than any period: what was kept ready is not trusted, and the command is not lost.
  expect(await textOf(ssh, sshd, 'true')).toBe('');
  await warmed(sshd);
  proxy.strikeAll({ kind: 'silence' });
  await delay(2700);
  expect(await textOf(ssh, sshd, 'echo here')).toBe('here\n');
});

it('a server that drops logins because there are too many is asked again', async () => {
  const sshd = await startSshd({ defaultLimits: true, config: ['MaxStartups 2:100:2'] });
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const all = Array.from({ length: 6 }, () => connected(sshd, sshd.endpoint));
  const said = await Promise.all(all.map(async (ssh, index) => textOf(ssh, sshd, `echo ${index}`)));
  expect(said).toEqual(all.map((_, index) => `${index}\n`));
  expect(sshd.log()).toMatch(/MaxStartups/);
});

it('a login that is refused is not tried again and again, so that the machine does not shut us out', async () => {
  const { sshd, ssh, text } = await setUp();
  const stranger = createSshIdentity({ home: path.join(sshd.folder, 'stranger') });
  await stranger.publicKey({ signal });
  const wrong = connected(sshd, { ...sshd.endpoint, keyPath: stranger.keyPath });
  let last: unknown;
  for (let index = 0; index < 12; index += 1)
    last = await textOf(wrong, sshd, 'true').catch((failure: unknown) => failure);
  expect(last).toMatchObject({
    code: 'ssh_refused',
    retryAfterSeconds: expect.any(Number) as number,
  });
  const logins = sshd.log().match(/Connection from/g)?.length ?? 0;
  expect(logins).toBeGreaterThan(0);
  expect(logins).toBeLessThanOrEqual(4);
  // Another login to the same machine is another matter.
  expect(await text('echo in')).toBe('in\n');
  await ssh.remote.disconnect(sshd.endpoint.podId);
});

it('start-up files that print, wait or are slow spoil no command', async () => {
  const { sshd, text } = await setUp();
  await text('true');
  await writeFile(
    path.join(sshd.home, '.bashrc'),
    'echo NOISE; echo NOISE >&2; sleep 0.2; (sleep 0.3; echo LATE >&2) >/dev/null &\n',
  );
  for (let index = 0; index < 6; index += 1) {
    if (index > 2) await warmed(sshd);
    const said = await text(`echo clean ${index}`);
    expect(said).toBe(`clean ${index}\n`);
  }
});
