import { PassThrough, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const signal = new AbortController().signal;
const CHUNKS = 480;
/** Looks 0.2 s apart that see no more than the one before. */
const STILL_LOOKS = 5;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

async function openMachine(): Promise<TestMachine> {
  const [openSsh] = MACHINES;
  if (openSsh === undefined) throw new Error('no machine');
  const machine = await openSsh.open();
  closers.push(async () => machine[Symbol.asyncDispose]());
  return machine;
}

/** What a stream of `lane` prints. */
async function streamed(machine: TestMachine, script: string, lane?: number): Promise<string> {
  let said = '';
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      said += chunk.toString();
      done();
    },
  });
  const options = { signal, timeoutSeconds: 20, stdout };
  await machine.ssh.remote.stream(
    machine.podId,
    script,
    lane === undefined ? options : { ...options, lane },
  );
  return said;
}

it('streams of different lanes go over connections of their own, those of one lane share one', async () => {
  const machine = await openMachine();
  // The parent of a command is the sshd process of its connection.
  const script = 'sleep 0.3; echo $PPID';
  const [common, first, again, second] = await Promise.all([
    streamed(machine, script),
    streamed(machine, script, 1),
    streamed(machine, script, 1),
    streamed(machine, script, 2),
  ]);
  const { stdout } = await machine.ssh.remote.exec(machine.podId, 'echo $PPID', {
    signal,
    timeoutSeconds: 20,
  });
  expect(stdout.toString()).toBe(common);
  expect(again).toBe(first);
  expect(new Set([common, first, second]).size).toBe(3);
});

it('a raised window lets the pod run ahead by that much and no more', async () => {
  const machine = await openMachine();
  /** How far the pod gets while nobody reads: at least to `least`, and then until it stands still. */
  const ahead = async (windowBytes: number, least: number): Promise<number> => {
    const slow = new PassThrough({ highWaterMark: 1024 });
    const running = machine.ssh.remote.stream(
      machine.podId,
      `rm -f progress; n=0; while [ $n -lt ${CHUNKS} ]; do head -c 65536 /dev/zero; n=$((n+1)); echo $n > progress.n; mv progress.n progress; done`,
      { signal, timeoutSeconds: 50, stdout: slow, windowBytes },
    );
    const progress = async (): Promise<number> => {
      const { stdout } = await machine.ssh.remote.exec(
        machine.podId,
        'cat progress 2>/dev/null || echo 0',
        { signal, timeoutSeconds: 20 },
      );
      return Number(stdout.toString()) * 65_536;
    };
    let now = 0;
    let unchanged = 0;
    for (let look = 0; look < 60 && (now < least || unchanged < STILL_LOOKS); look += 1) {
      await delay(200);
      const before = now;
      now = await progress();
      unchanged = now === before ? unchanged + 1 : 0;
    }
    let bytes = 0;
    slow.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    expect((await running).exitCode).toBe(0);
    expect(bytes).toBe(CHUNKS * 65_536);
    return now;
  };
  const MiB = 1024 * 1024;
  const usual = await ahead(0, 1);
  const raised = await ahead(12 * MiB, usual + 6 * MiB);
  expect(raised - usual).toBeGreaterThan(6 * MiB);
  expect(raised).toBeLessThan(20 * MiB);
});
