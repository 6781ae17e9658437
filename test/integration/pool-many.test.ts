import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { Redactor } from '../../src/core/redact.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startSshd } from '../support/sshd.ts';
import { IS_WHOLE } from '../support/whole.ts';

/** More than one connection carries, and more than an OpenSSH lets in at once. */
const SESSIONS = IS_WHOLE ? 300 : 120;
const options = { signal: new AbortController().signal };

it(`${SESSIONS} sessions of one pod work at once over an OpenSSH as it comes, none refused [SE-23]`, async () => {
  await using sshd = await startSshd({ defaultLimits: true });
  await using ssh = createSsh({
    machines: { endpoint: async () => Promise.resolve(sshd.endpoint) },
    store: createMemoryStore(),
    clock: systemClock,
    home: sshd.folder,
    redactor: new Redactor(),
  });
  const { podId } = sshd.endpoint;
  const numbers = Array.from({ length: SESSIONS }, (_, index) => index);

  const opened: { sessionId: Awaited<ReturnType<typeof ssh.sessions.open>>['sessionId'] }[] = [];
  // As agents come: some at a time.
  const waiting = [...numbers];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (waiting.pop() !== undefined)
        opened.push(await ssh.sessions.open(podId, { reuse: false }, options));
    }),
  );
  expect(new Set(opened.map(({ sessionId }) => sessionId)).size).toBe(SESSIONS);

  const write = async (index: number, input: string, waitSeconds: number) => {
    const id = opened[index]?.sessionId;
    if (id === undefined) throw new Error('not opened');
    return ssh.sessions.write(id, { input, newline: true, secret: false, waitSeconds }, options);
  };
  // All of them at once, each waiting for its own end.
  const first = await Promise.all(
    numbers.map(async (index) => write(index, `me=${index}; tty; (exit ${index % 200})`, 45)),
  );
  for (const [index, { done, exitCode, output }] of first.entries()) {
    expect({ index, done, exitCode }).toEqual({ index, done: true, exitCode: index % 200 });
    expect(output).toMatch(/^\/dev\/pts\/\d+\n$/);
  }
  expect(new Set(first.map(({ output }) => output)).size).toBe(SESSIONS);

  const second = await Promise.all(
    numbers.map(async (index) => write(index, 'echo "I am $me"', 45)),
  );
  expect(second.map(({ output }) => output)).toEqual(numbers.map((index) => `I am ${index}\n`));

  const connections = (sshd.log().match(/Accepted publickey/g) ?? []).length;
  expect(connections).toBeLessThanOrEqual(SESSIONS / 10 + 10);
  // What nobody follows any more is given back.
  const followed = async (): Promise<number> => {
    const { stdout } = await ssh.remote.exec(
      podId,
      `ps -A -o args= | grep -F ${sshd.home} | grep -c '[t]ail .*-f'; true`,
      { ...options, timeoutSeconds: 20 },
    );
    return Number(stdout.toString());
  };
  await expect.poll(followed, { timeout: 20_000, interval: 300 }).toBeLessThan(10);
}, 280_000);
