import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { RemoteError } from '../../src/core/errors.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { Redactor } from '../../src/core/redact.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { type SshdOptions, startSshd, type TestSshd } from '../support/sshd.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const signal = new AbortController().signal;
const options = { signal };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

interface Setup {
  readonly sshd: TestSshd;
  readonly ssh: ReturnType<typeof createSsh>;
  readonly store: ReturnType<typeof createMemoryStore>;
  endpoint: SshEndpoint;
  asked: number;
  readonly text: (script: string) => Promise<string>;
}
async function setUp(given: SshdOptions = {}): Promise<Setup> {
  const sshd = await startSshd(given);
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const store = createMemoryStore();
  const ssh = createSsh({
    machines: {
      endpoint: async () => {
        setup.asked += 1;
        return Promise.resolve(setup.endpoint);
      },
    },
    store,
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  const setup: Setup = {
    sshd,
    ssh,
    store,
    endpoint: sshd.endpoint,
    asked: 0,
    text: async (script) =>
      (
        await ssh.remote.exec(sshd.endpoint.podId, script, { signal, timeoutSeconds: 20 })
      ).stdout.toString(),
  };
  return setup;
}

it('trusts the first host key on the record, and no other after it [SA-01]', async () => {
  const { sshd, store, ssh, text } = await setUp();
  expect(await text('echo ok')).toBe('ok\n');
  expect(await store.log.list(sshd.endpoint.podId)).toEqual([
    expect.objectContaining({
      kind: 'host_key_trusted',
      text: expect.stringMatching(/SHA256:[A-Za-z0-9+/]{43}$/) as string,
    }),
  ]);
  await sshd.changeHostKey();
  await ssh.remote.disconnect(sshd.endpoint.podId);
  await expect(text('echo ok')).rejects.toMatchObject({ code: 'host_key_changed' });
});

it('accepts only the host key that the provider told [SA-01]', async () => {
  const setup = await setUp();
  const line = await createSshIdentity({ home: path.join(setup.sshd.folder, 'other') }).publicKey(
    options,
  );
  setup.endpoint = { ...setup.endpoint, hostKey: line.split(' ')[1] ?? '' };
  await expect(setup.text('true')).rejects.toMatchObject({ code: 'host_key_changed' });
  expect(await setup.store.hostKeys.list()).toEqual([]);
});

it('a key that is not let in is ssh_refused, one that is not there config_missing [KE-07]', async () => {
  const setup = await setUp();
  const other = createSshIdentity({ home: path.join(setup.sshd.folder, 'stranger') });
  await other.publicKey(options);
  setup.endpoint = { ...setup.endpoint, keyPath: other.keyPath };
  await expect(setup.text('true')).rejects.toMatchObject({ code: 'ssh_refused' });
  setup.endpoint = { ...setup.endpoint, keyPath: path.join(setup.sshd.folder, 'absent') };
  await expect(setup.text('true')).rejects.toMatchObject({ code: 'config_missing' });
  const { podId, host, port, user, route } = setup.endpoint;
  setup.endpoint = { podId, host, port, user, route };
  await expect(setup.text('true')).rejects.toMatchObject({ code: 'ssh_refused' });
});

it('nobody at the port is ssh_unreachable, and a moved port is found [PR-10]', async () => {
  const setup = await setUp();
  const proxy = await startTcpProxy(() => setup.sshd.endpoint.port);
  const old = { ...setup.endpoint, port: proxy.port };
  await proxy[Symbol.asyncDispose]();
  setup.endpoint = old;
  await expect(setup.text('true')).rejects.toMatchObject({ code: 'ssh_unreachable' });
  let asked = 0;
  const moving = createSsh({
    machines: {
      endpoint: async () => Promise.resolve((asked += 1) === 1 ? old : setup.sshd.endpoint),
    },
    store: setup.store,
    clock: systemClock,
    home: setup.sshd.folder,
    redactor: new Redactor(),
  });
  closers.push(async () => moving[Symbol.asyncDispose]());
  const result = await moving.remote.exec(old.podId, 'echo found', { signal, timeoutSeconds: 10 });
  expect(result.stdout.toString()).toBe('found\n');
  expect(asked).toBe(2);
});

it('what the address book says is passed on as it is', async () => {
  const setup = await setUp();
  const ssh = createSsh({
    machines: {
      endpoint: async () => Promise.reject(new RemoteError('pod_gone', 'This pod is gone.')),
    },
    store: setup.store,
    clock: systemClock,
    home: setup.sshd.folder,
    redactor: new Redactor(),
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  await expect(
    ssh.remote.exec(setup.endpoint.podId, 'true', { signal, timeoutSeconds: 5 }),
  ).rejects.toMatchObject({ code: 'pod_gone' });
});

it('many at once share one handshake', async () => {
  const setup = await setUp();
  await Promise.all(Array.from({ length: 8 }, async () => setup.text('true')));
  expect(setup.asked).toBe(1);
});

it('the end of a very short command is never missed, however many end in one packet', async () => {
  const { text } = await setUp();
  for (let round = 0; round < 10; round += 1)
    expect(await Promise.all(Array.from({ length: 8 }, async () => text('echo x')))).toEqual(
      Array.from({ length: 8 }, () => 'x\n'),
    );
});

it('one session a connection is enough for many commands [SE-23]', async () => {
  const setup = await setUp({ config: ['MaxSessions 2'] });
  const all = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => setup.text(`sleep 0.3; echo ${index}`)),
  );
  expect(all).toEqual(['0\n', '1\n', '2\n', '3\n', '4\n', '5\n']);
});

it('a dead sshd makes a session unreachable, never failed; when it is back so is the shell', async () => {
  const { sshd, ssh, text } = await setUp();
  const { podId } = sshd.endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, options);
  const write = async (input: string, waitSeconds: number) =>
    ssh.sessions.write(sessionId, { input, newline: true, secret: false, waitSeconds }, options);
  await write('V=kept', 5);
  const running = write('sleep 1; echo finished; sleep 1', 2);
  await delay(300);
  await sshd.stop();
  expect(await running).toMatchObject({ state: 'unreachable', done: false });
  await expect(write('echo no', 1)).rejects.toMatchObject({ code: 'ssh_unreachable' });
  const page = await ssh.sessions.read(
    sessionId,
    { offset: 0, maxBytes: 100, waitSeconds: 0, format: 'clean' },
    options,
  );
  expect(page).toMatchObject({ state: 'unreachable', output: '', offset: 0, nextOffset: 0 });
  await sshd.start();
  const back = await ssh.sessions.read(
    sessionId,
    { offset: 0, maxBytes: 5000, waitSeconds: 10, until: 'finished', format: 'clean' },
    options,
  );
  expect(back).toMatchObject({ matched: true });
  await expect
    .poll(async () => (await write('echo "$V"', 5)).output, { timeout: 10_000 })
    .toContain('kept');
  expect(await text('true')).toBe('');
});

it('closing the pod of a machine that is gone marks its sessions and never throws', async () => {
  const { sshd, ssh } = await setUp();
  const { podId } = sshd.endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, options);
  await sshd.stop();
  await ssh.sessions.closePod(podId, options);
  expect(await ssh.sessions.list(podId)).toEqual([
    expect.objectContaining({ sessionId, state: 'lost' }),
  ]);
});

it('no more shells on a pod than it may have, and the refusal names ours [SE-23]', async () => {
  const { sshd, ssh } = await setUp();
  const { podId } = sshd.endpoint;
  const opened: string[] = [];
  for (let count = 0; count < 3; count += 1)
    opened.push((await ssh.sessions.open(podId, { reuse: false }, options)).sessionId);
  // Of other servers: each has the number of a process that lives.
  await ssh.remote.exec(
    podId,
    'cd .gpu-lease/sessions; n=3; while [ $n -lt 400 ]; do n=$((n+1)); mkdir other$n; echo 1 > other$n/pid; done',
    { signal, timeoutSeconds: 20 },
  );
  const refusal: unknown = await ssh.sessions
    .open(podId, { reuse: false }, options)
    .catch((e: unknown) => e);
  expect(refusal).toMatchObject({ code: 'session_busy' });
  expect((refusal as RemoteError).foreignText?.split(' ').sort()).toEqual(opened.sort());
  expect(await ssh.sessions.list(podId)).toHaveLength(3);
});

it('the transcript at home is the one on the pod, byte for byte', async () => {
  const { sshd, ssh } = await setUp();
  const { sessionId } = await ssh.sessions.open(sshd.endpoint.podId, { reuse: false }, options);
  await ssh.sessions.write(
    sessionId,
    { input: 'head -c 3000000 /dev/urandom', newline: true, secret: false, waitSeconds: 20 },
    options,
  );
  const [record] = await ssh.sessions.list();
  const folder = record?.folder ?? '';
  const copy = await mkdtemp(path.join(os.tmpdir(), 'gl-copy-'));
  closers.push(async () => rm(copy, { recursive: true, force: true }));
  const onPod = await readFile(path.join(folder, 'out'));
  await ssh.sessions.close(sessionId, { force: true }, options);
  const home = await readFile(path.join(sshd.folder, 'transcripts', `${sessionId}.log`));
  expect(home.length).toBeGreaterThanOrEqual(onPod.length);
  expect(home.subarray(0, onPod.length).equals(onPod)).toBe(true);
});

it('a link that dies without a word ends by keepalive, and work goes on over a new one', async () => {
  const sshd = await startSshd();
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const proxy = await startTcpProxy(() => sshd.endpoint.port);
  closers.push(async () => proxy[Symbol.asyncDispose]());
  const endpoint = { ...sshd.endpoint, port: proxy.port };
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
    keepaliveSeconds: 0.3,
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  const { podId } = endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, options);
  const write = async (input: string): Promise<{ output: string; done: boolean }> =>
    ssh.sessions.write(
      sessionId,
      { input, newline: true, secret: false, waitSeconds: 20 },
      options,
    );
  for (const round of [1, 2, 3]) expect((await write(`echo ${round}`)).output).toBe(`${round}\n`);
  proxy.freeze();
  const started = performance.now();
  const typed = write('echo once >> "$HOME/frozen"; echo shown');
  await expect(
    ssh.remote.exec(podId, 'echo never', { signal, timeoutSeconds: 30 }),
  ).rejects.toMatchObject({ code: 'link_lost' });
  expect(performance.now() - started).toBeLessThan(10_000);
  proxy.thaw();
  expect(await typed).toMatchObject({ done: true, exitCode: 0, output: 'shown\n' });
  expect(await readFile(path.join(sshd.home, 'frozen'), 'utf8')).toBe('once\n');
  expect((await write('echo back')).output).toBe('back\n');
});

it('channels kept for the next call are given back when nobody calls, and made again', async () => {
  const sshd = await startSshd({ config: ['MaxSessions 3'] });
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
    idleSeconds: 1,
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  const { podId } = sshd.endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, options);
  const write = async (input: string): Promise<{ output: string }> =>
    ssh.sessions.write(
      sessionId,
      { input, newline: true, secret: false, waitSeconds: 20 },
      options,
    );
  const kept = async (): Promise<number> => {
    const { stdout } = await ssh.remote.exec(
      podId,
      `n=0; for f in $(grep -lsaF "HOME=${sshd.home}" /proc/[0-9]*/environ); do
        l=$(tr '\\0' ' ' < "\${f%/environ}/cmdline"); case $l in tail\\ -*|*"read -r k"[\\ ]q*) n=$((n+1));; esac; done; echo $n`,
      { signal, timeoutSeconds: 20 },
    );
    return Number(stdout.toString());
  };
  for (const turn of ['first', 'second']) {
    for (const word of ['a', 'b', 'c'])
      expect((await write(`echo ${turn} ${word}`)).output).toBe(`${turn} ${word}\n`);
    expect(await kept()).toBeGreaterThanOrEqual(1);
    await expect.poll(kept, { timeout: 15_000, interval: 300 }).toBe(0);
  }
});

it('a program that never stops printing does not fill the disk, and no offset changes its meaning', async () => {
  const sshd = await startSshd();
  closers.push(async () => sshd[Symbol.asyncDispose]());
  const store = createMemoryStore();
  const ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    store,
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
    transcriptBytes: 1_000_000,
  });
  closers.push(async () => ssh[Symbol.asyncDispose]());
  const { podId } = sshd.endpoint;
  const { sessionId } = await ssh.sessions.open(podId, { reuse: false }, options);
  const read = async (offset: number): ReturnType<typeof ssh.sessions.read> =>
    ssh.sessions.read(
      sessionId,
      { offset, maxBytes: 1000, waitSeconds: 0, format: 'raw' },
      options,
    );
  await ssh.sessions.write(
    sessionId,
    {
      input:
        'i=0; while [ $i -lt 400 ]; do i=$((i+1)); seq -w 10000000 10002000; sleep 0.01; done; echo end',
      newline: true,
      secret: false,
      waitSeconds: 0,
    },
    options,
  );
  await expect
    .poll(async () => (await read(0)).offset, { timeout: 30_000, interval: 300 })
    .toBeGreaterThan(2_000_000);
  const page = await read(0);
  // Every line is 10 bytes: lines end at the same remainder as long as no offset moves.
  const lineEnd = (one: { offset: number; output: string }): number =>
    (one.offset + one.output.indexOf('\n')) % 10;
  expect(page.output).toMatch(/^[\d\r\n]{900}/);
  const again = await read(page.nextOffset);
  expect(again.offset).toBe(page.nextOffset);
  expect(lineEnd(again)).toBe(lineEnd(page));
  const folder = (await store.sessions.get(sessionId))?.folder ?? '';
  const { stdout } = await ssh.remote.exec(
    podId,
    `echo $(($(du -k ${folder}/out | cut -f1))) $(($(wc -c < ${folder}/out)))`,
    { signal, timeoutSeconds: 20 },
  );
  const [diskKilobytes = 0, bytes = 0] = stdout.toString().split(' ').map(Number);
  expect(diskKilobytes * 1024).toBeLessThan(bytes);
  await ssh.sessions.close(sessionId, { force: true }, options);
  const after = await read(0);
  expect(after.state).toBe('closed');
  expect(after.offset).toBeGreaterThan(page.offset - 1);
  expect(after.output).toMatch(/^[\d\r\n]{900}/);
  expect(lineEnd(after)).toBe(lineEnd(page));
});
