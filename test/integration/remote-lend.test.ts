import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MACHINES, type TestMachine } from '../support/machines.ts';

/* Output that is only lent lies in memory that is read into again: nobody else's output may be lost by that. */

const signal = new AbortController().signal;
const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const MEBI = 1 << 20;

describe.each(MACHINES)('lent output of $name', ({ open }) => {
  let machine: TestMachine;
  const data = randomBytes(24 * MEBI);

  beforeAll(async () => {
    machine = await open();
    await writeFile(path.join(machine.folderOnPod, 'data.bin'), data);
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  async function lent(
    script: string,
    { slow = false, windowBytes }: { slow?: boolean; windowBytes?: number } = {},
  ): Promise<string> {
    const hash = createHash('sha256');
    const stdout = new Writable({
      highWaterMark: MEBI,
      write(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        if (slow) setImmediate(done);
        else done();
      },
    });
    const { exitCode } = await machine.ssh.remote.stream(machine.podId, script, {
      ...{ signal, timeoutSeconds: 60, stdout, lent: true, lane: 1 },
      ...(windowBytes === undefined ? {} : { windowBytes }),
    });
    expect(exitCode).toBe(0);
    return hash.digest('hex');
  }
  /** Keeps every chunk as it came. */
  async function kept(script: string): Promise<string> {
    const chunks: Buffer[] = [];
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    });
    await machine.ssh.remote.stream(machine.podId, script, {
      ...{ signal, timeoutSeconds: 60, stdout, lane: 1 },
    });
    return sha(Buffer.concat(chunks));
  }

  it('is whole, whether it is taken at once or slowly, also through a raised window', async () => {
    const whole = sha(data);
    expect(await lent('cat data.bin')).toBe(whole);
    expect(await lent('cat data.bin', { slow: true })).toBe(whole);
    expect(await lent('cat data.bin', { windowBytes: 8 * MEBI })).toBe(whole);
    expect(await lent('cat data.bin', { slow: true, windowBytes: 8 * MEBI })).toBe(whole);
  });

  it('spoils nothing that others keep of the same connection, before, meanwhile and after', async () => {
    const half = sha(data.subarray(0, 8 * MEBI));
    const keep = async (): Promise<string> => kept(`head -c ${8 * MEBI} data.bin`);
    const [one, two, three, four] = await Promise.all([
      lent('cat data.bin data.bin'),
      keep(),
      lent('cat data.bin'),
      keep(),
    ]);
    expect(one).toBe(sha(Buffer.concat([data, data])));
    expect([two, four, await keep()]).toEqual([half, half, half]);
    expect(three).toBe(sha(data));
  });

  it('comes with what was said on stderr, and with the exit code', async () => {
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        done();
      },
    });
    const complaint = 'e'.repeat(50_000);
    const result = await machine.ssh.remote.stream(
      machine.podId,
      `printf %050000d 0 | tr 0 e >&2; cat data.bin; exit 7`,
      { signal, timeoutSeconds: 60, stdout, lent: true, lane: 2 },
    );
    expect(result.exitCode).toBe(7);
    expect(result.stderr.toString()).toBe(complaint);
  });

  it('ends the command when whoever takes it breaks', async () => {
    let seen = 0;
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        seen += chunk.length;
        done(seen > 3 * MEBI ? new Error('full') : null);
      },
    });
    const streaming = machine.ssh.remote.stream(machine.podId, 'while :; do cat data.bin; done', {
      ...{ signal, timeoutSeconds: 60, stdout, lent: true, lane: 1 },
    });
    await expect(streaming).rejects.toThrow('full');
  });
});
