import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shellQuote } from '../../src/core/shell-quote.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const signal = new AbortController().signal;

describe.each(MACHINES)('commands on $name', ({ open }) => {
  let machine: TestMachine;
  const run = async (script: string, more: Partial<Parameters<typeof exec>[2]> = {}) =>
    exec(machine.podId, script, { signal, timeoutSeconds: 30, ...more });
  const exec: TestMachine['ssh']['remote']['exec'] = async (...args) =>
    machine.ssh.remote.exec(...args);
  const text = async (script: string): Promise<string> => (await run(script)).stdout.toString();
  /** Processes of the machine whose command line holds `word`, which no script may spell out whole. */
  const alive = async (word: string): Promise<string> =>
    text(`ps -A -o args= | grep -F ${shellQuote(word)} | grep -v grep; true`);

  beforeAll(async () => {
    machine = await open();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  it('keeps exit code, stdout and stderr apart, and starts in the home', async () => {
    const result = await run('printf out; printf err >&2; pwd >&2; exit 42');
    expect(result).toMatchObject({ exitCode: 42, droppedBytes: 0 });
    expect(result.stdout.toString()).toBe('out');
    expect(result.stderr.toString()).toBe(`err${machine.folderOnPod}\n`);
  });

  it('passes any word through unchanged [SA-04]', async () => {
    for (const word of [
      `a'b"c$d\`e\\f!g`,
      'two\nlines',
      '~/*?[x]',
      '{a,b} && || ;',
      'ünïcödé €',
      '',
    ])
      expect(await text(`printf %s ${shellQuote(word)}`)).toBe(word);
  });

  it('gives stdin, and an end of it', async () => {
    expect((await run('cat; echo end', { stdin: 'a\0b' })).stdout.toString()).toBe('a\0bend\n');
    expect(await text('cat; echo end')).toBe('end\n');
  });

  it('says how a command died of a signal', async () => {
    expect((await run('kill -9 $$')).exitCode).toBe(137);
  });

  it('keeps the first bytes and counts the rest', async () => {
    const result = await run('head -c 3000000 /dev/zero', { maxBytes: 1000 });
    expect(result.stdout).toHaveLength(1000);
    expect(result.droppedBytes).toBe(2_999_000);
  });

  it('drops what a login start-up file prints', async () => {
    await writeFile(path.join(machine.folderOnPod, '.bashrc'), 'echo NOISE; echo NOISE >&2\n');
    const result = await run('echo clean');
    await writeFile(path.join(machine.folderOnPod, '.bashrc'), '');
    expect(result.stdout.toString()).toBe('clean\n');
    expect(result.stderr.toString()).toBe('');
  });

  it('refuses NUL and scripts that no machine takes in one piece', async () => {
    await expect(run('echo \0')).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(run(`: ${'x'.repeat(200_000)}`)).rejects.toMatchObject({ code: 'too_large' });
    expect(await text(`: ${'x'.repeat(100_000)}; echo ok`)).toBe('ok\n');
  });

  it('streams 20 MB both ways without a byte changed', async () => {
    const size = 20 * 1024 * 1024;
    const piece = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31) % 256));
    const sent = createHash('sha256');
    const got = createHash('sha256');
    const stdin = Readable.from(
      (function* () {
        for (let done = 0; done < size; done += piece.length) {
          sent.update(piece);
          yield piece;
        }
      })(),
    );
    let bytes = 0;
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        got.update(chunk);
        bytes += chunk.length;
        done();
      },
    });
    const { exitCode } = await machine.ssh.remote.stream(machine.podId, 'cat', {
      signal,
      timeoutSeconds: 50,
      stdin,
      stdout,
    });
    expect(exitCode).toBe(0);
    expect(bytes).toBe(size);
    expect(got.digest('hex')).toBe(sent.digest('hex'));
  });

  it('does not run ahead of a slow reader', async () => {
    const slow = new PassThrough({ highWaterMark: 1024 });
    const running = machine.ssh.remote.stream(
      machine.podId,
      'n=0; while [ $n -lt 640 ]; do head -c 65536 /dev/zero; n=$((n+1)); echo $n > progress; done',
      { signal, timeoutSeconds: 50, stdout: slow },
    );
    const progress = async () => Number(await text('cat progress 2>/dev/null || echo 0'));
    let before = -1;
    let now = await progress();
    while (now !== before) {
      await delay(300);
      before = now;
      now = await progress();
    }
    expect(now).toBeLessThan(640);
    slow.resume();
    expect((await running).exitCode).toBe(0);
    expect(await progress()).toBe(640);
  });

  it('a failing source or sink ends the command', async () => {
    const word = '71.031';
    const stdin = new PassThrough();
    const running = machine.ssh.remote.stream(machine.podId, `cat >/dev/null; sleep ${word}`, {
      signal,
      timeoutSeconds: 30,
      stdin,
    });
    stdin.write('x');
    stdin.destroy(new Error('the disk broke'));
    await expect(running).rejects.toThrow('the disk broke');
    expect(await alive(`sleep ${word}`)).toBe('');
  });

  it('a timeout leaves no process, however it hides, within 5 seconds', async () => {
    const started = performance.now();
    await expect(
      run(
        `trap '' TERM; setsid sleep 71.041 & nohup sleep 71.042 >/dev/null 2>&1 & (sleep 71.043) &
         sh -c 'trap "" TERM HUP; sleep 71.044; sleep 71.044' & env -i sleep 71.045 & sleep 71.046`,
        { timeoutSeconds: 1 },
      ),
    ).rejects.toMatchObject({ code: 'command_timeout' });
    expect(performance.now() - started).toBeLessThan(6000);
    expect(await alive('sleep 71.04')).toBe('');
  });

  it('an abort ends the processes too', async () => {
    const abort = new AbortController();
    const running = run('echo here > begun; setsid sleep 71.051 & sleep 71.052', {
      signal: abort.signal,
    });
    while ((await text('cat begun 2>/dev/null; true')) === '') await delay(20);
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    expect(await alive('sleep 71.05')).toBe('');
    await expect(run('true', { signal: abort.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  it('spares other commands of the same login', async () => {
    const other = run('sleep 1.5; echo survived');
    await expect(run('sleep 71.061', { timeoutSeconds: 0.3 })).rejects.toMatchObject({
      code: 'command_timeout',
    });
    expect((await other).stdout.toString()).toBe('survived\n');
  });

  it('a cut link is link_lost, not an exit code, and the next command connects anew [SE-21]', async () => {
    const running = run('echo here > cut; sleep 2; echo after >> cut');
    const outcome = expect(running).rejects.toMatchObject({ code: 'link_lost' });
    while ((await text('cat cut 2>/dev/null; true')) === '') await delay(20);
    await machine.cut();
    await outcome;
    expect(await text('echo again')).toBe('again\n');
  });

  it('runs more at once than one connection takes [SE-23]', async () => {
    const results = await Promise.all(
      Array.from({ length: 25 }, async (_, index) => text(`sleep 0.5; echo ${index}`)),
    );
    expect(results).toEqual(Array.from({ length: 25 }, (_, index) => `${index}\n`));
  });

  it('knows the work folder', async () => {
    const folder = await machine.ssh.remote.workFolder(machine.podId, { signal });
    expect(folder).toBe(await text('[ -d /workspace ] && printf /workspace || printf %s "$HOME"'));
  });
});
