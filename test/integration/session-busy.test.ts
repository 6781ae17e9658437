import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/core/ids.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const options = { signal: new AbortController().signal };

describe.each(MACHINES)('whether a command runs in any session on $name', ({ open }) => {
  let machine: TestMachine;
  const isBusy = async () => machine.ssh.sessions.hasBusy?.(machine.podId, options);
  const fresh = async (): Promise<SessionId> =>
    (await machine.ssh.sessions.open(machine.podId, { reuse: false }, options)).sessionId;
  beforeAll(async () => {
    machine = await open();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  it('is seen on the pod, over all of its open sessions [CO-04]', async () => {
    expect(await isBusy()).toBe(false);
    const [first, second] = [await fresh(), await fresh()];
    expect(await isBusy()).toBe(false);
    const shell = { newline: true, secret: false, waitSeconds: 0.2 };
    await machine.ssh.sessions.write(second, { ...shell, input: 'sleep 300' }, options);
    expect(await isBusy()).toBe(true);
    await machine.ssh.sessions.close(first, { force: true }, options);
    expect(await isBusy()).toBe(true);
    await machine.ssh.sessions.close(second, { force: true }, options);
    expect(await isBusy()).toBe(false);
  });

  it('is told of each, and kept of those that were ended with their pod [CO-04]', async () => {
    const { sessions } = machine.ssh;
    const { podId } = machine;
    const [quiet, busy] = [await fresh(), await fresh()];
    const typed = { input: 'sleep 300', newline: true, secret: false, waitSeconds: 0.2 };
    await sessions.write(busy, typed, options);
    // Another server too, which typed nothing.
    for (const one of [sessions, machine.another().sessions])
      expect(await one.look?.(podId, options)).toMatchObject([
        { sessionId: busy, state: 'busy' },
        { sessionId: quiet, state: 'idle' },
      ]);
    await sessions.closePod(podId, options);
    expect(await sessions.look?.(podId, options)).toEqual([]);
    const [second, first] = await sessions.list(podId);
    expect([second, first]).toMatchObject([
      { sessionId: busy, state: 'closed', wasCutOff: true },
      { sessionId: quiet, state: 'closed' },
    ]);
    expect(first).not.toHaveProperty('wasCutOff');
  });

  it('is not guessed of a pod that cannot be seen', async () => {
    await fresh();
    const over = { signal: AbortSignal.abort() };
    await expect(machine.ssh.sessions.hasBusy?.(machine.podId, over)).rejects.toThrow();
  });
});
