import { expect, it } from 'vitest';
import { untilAborted } from '../../../src/leases/deps.ts';
import { createRounds } from '../../../src/leases/rounds.ts';
import { ManualClock } from '../../support/clock.ts';

const { signal } = new AbortController();

it('what hangs holds up nothing else, is begun once, and is told by the round in which it is done', async () => {
  const rounds = createRounds<string>(new ManualClock());
  let finish: (value: string) => void = () => undefined;
  const slow = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const begun: string[] = [];
  const works = new Map([
    [
      'slow',
      async () => {
        begun.push('slow');
        return slow;
      },
    ],
    [
      'quick',
      async () => {
        begun.push('quick');
        return Promise.resolve('quick');
      },
    ],
  ]);
  const options = { signal, patienceSeconds: 5 };
  expect(await rounds.run(works, options)).toEqual(['quick']);
  expect(await rounds.run(works, options)).toEqual(['quick']);
  finish('slow, at last');
  await slow;
  expect(await rounds.run(new Map(), options)).toEqual(['slow, at last']);
  expect(await rounds.run(new Map(), options)).toEqual([]);
  expect(begun).toEqual(['slow', 'quick', 'quick']);
});

it('without patience all of it is waited for, and every failure is thrown', async () => {
  const rounds = createRounds<unknown>(new ManualClock());
  let isDone = false;
  const late = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    isDone = true;
  };
  await rounds.run(new Map([['late', late]]), { signal });
  expect(isDone).toBe(true);
  const fail = async (): Promise<void> => Promise.reject(new Error('boom'));
  await expect(rounds.run(new Map([['one', fail]]), { signal })).rejects.toThrow('boom');
  const both = new Map([
    ['one', fail],
    ['two', fail],
  ]);
  await expect(rounds.run(both, { signal })).rejects.toBeInstanceOf(AggregateError);
  expect(await rounds.run(new Map(), { signal })).toEqual([]);
});

it('ends with its signal, whatever hangs', async () => {
  const rounds = createRounds<unknown>(new ManualClock());
  const stop = new AbortController();
  const hang = async (): Promise<void> => new Promise(() => undefined);
  const running = rounds.run(new Map([['hang', hang]]), { signal: stop.signal });
  stop.abort(new Error('over'));
  await expect(running).rejects.toThrow('over');
});

it('begins nothing for a caller who has ended, and leaves no rejection to nobody', async () => {
  const rounds = createRounds<unknown>(new ManualClock());
  let isBegun = false;
  const work = async (): Promise<void> => {
    isBegun = true;
    return Promise.resolve();
  };
  const ended = AbortSignal.abort(new Error('over'));
  const options = { signal: ended, patienceSeconds: 5 };
  await expect(rounds.run(new Map([['one', work]]), options)).rejects.toThrow('over');
  expect(isBegun).toBe(false);

  const unhandled: unknown[] = [];
  const note = (failure: unknown): unknown => unhandled.push(failure);
  process.on('unhandledRejection', note);
  try {
    const failing = Promise.reject(new Error('boom'));
    await expect(untilAborted(failing, ended)).rejects.toThrow('over');
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', note);
  }
  expect(unhandled).toEqual([]);
});
