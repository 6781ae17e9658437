import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/call.ts';
import type { SessionPage } from '../../src/core/session.ts';
import { SESSION } from '../support/fake-services.ts';
import { inProcess, PEERS } from '../support/mcp-clients.ts';

const PAGE: Omit<SessionPage, 'sessionId'> = {
  state: 'idle',
  output: '',
  offset: 0,
  nextOffset: 0,
  hasMore: false,
  commands: [],
};

/** Heartbeats come when the test turns the clock, and not else. */
function handClock(): Clock & { turn: (seconds: number) => void; waiting: () => number } {
  let now = 0;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => new Date(now * 1000),
    sleep: async (seconds, { signal }) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: now + seconds, wake: resolve };
        sleepers.add(sleeper);
        signal.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(new Error('aborted'));
        });
      }),
    turn: (seconds) => {
      now += seconds;
      for (const sleeper of sleepers)
        if (sleeper.at <= now) {
          sleepers.delete(sleeper);
          sleeper.wake();
        }
    },
    waiting: () => sleepers.size,
  };
}
async function until(what: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!what()) {
    if (Date.now() > end) throw new Error('It never came true.');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe.each(PEERS)('a %s client that waits', (peer) => {
  it('hears of progress at once, of every step, and a heartbeat each 8 s', async () => {
    const clock = handClock();
    let step: ((message: string) => void) | undefined;
    let finish: (() => void) | undefined;
    await using client = await inProcess(peer, {
      overrides: {
        clock,
        sessions: {
          read: async (sessionId, _request, { progress }) =>
            new Promise((resolve) => {
              step = progress;
              finish = () => {
                resolve({ sessionId, ...PAGE });
              };
            }),
        },
      },
    });
    const heard: { progress: number; message?: string | undefined }[] = [];
    const call = client.call(
      'session_read',
      { sessionId: SESSION },
      { onProgress: (progress) => heard.push(progress) },
    );
    await until(() => heard.length === 1 && step !== undefined && clock.waiting() === 1);
    step?.('waiting for output');
    await until(() => heard.length === 2);
    clock.turn(8);
    await until(() => heard.length === 3 && clock.waiting() === 1);
    clock.turn(8);
    await until(() => heard.length === 4);
    finish?.();
    await call;
    expect(heard.map(({ message }) => message)).toEqual([
      'Read a session',
      'waiting for output',
      'waiting for output (8 s)',
      'waiting for output (16 s)',
    ]);
    const values = heard.map(({ progress }) => progress);
    expect(values).toEqual([...new Set(values)].toSorted((a, b) => a - b));
    expect(clock.waiting()).toBe(0);
  });

  it('ends the wait by cancelling, and the server goes on serving', async () => {
    let reason: unknown;
    let begun = false;
    await using client = await inProcess(peer, {
      overrides: {
        sessions: {
          read: async (_sessionId, _request, { signal }) => {
            begun = true;
            return new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                reason = 'aborted';
                reject(new Error('stopped waiting'));
              });
            });
          },
        },
      },
    });
    const cancel = new AbortController();
    const call = client.call('session_read', { sessionId: SESSION }, { signal: cancel.signal });
    const failed = expect(call).rejects.toThrow();
    await until(() => begun);
    cancel.abort();
    await failed;
    await until(() => reason === 'aborted');
    expect((await client.call('doctor')).isError).toBe(false);
  });
});

it('says nothing to a client that did not ask for progress', async () => {
  const clock = handClock();
  await using client = await inProcess('v2-2026', { overrides: { clock } });
  const notified: unknown[] = [];
  client.client.fallbackNotificationHandler = async (message) => {
    notified.push(message);
    return Promise.resolve();
  };
  await client.call('doctor');
  expect([notified, clock.waiting()]).toEqual([[], 0]);
});
