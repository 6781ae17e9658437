import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, RemoteError } from '../../../src/core/errors.ts';
import { CarriedError, packFailure, unpackFailure } from '../../../src/transfer/failure.ts';
import {
  createPeer,
  type Handler,
  handlerOf,
  type Peer,
  PeerGoneError,
} from '../../../src/transfer/peer.ts';
import { fc } from '../../support/property.ts';

const WORK = { name: 'work', args: z.string(), result: z.string() };
const never = new AbortController().signal;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A caller whose other side has these handlers. */
function callerOf(...handlers: Handler[]): Peer {
  const { port1, port2 } = new MessageChannel();
  closers.push(() => {
    port1.close();
  });
  createPeer(port2, handlers);
  return createPeer(port1, []);
}

describe('calls between threads', () => {
  it('answers come back to the call that asked, whatever the order', async () => {
    const open: ((text: string) => void)[] = [];
    const caller = callerOf(
      handlerOf(WORK, async (text) => {
        const tail = new Promise<string>((resolve) => open.push(resolve));
        if (open.length === 3) ['c', 'b', 'a'].map((end, at) => open[2 - at]?.(end));
        return `${text}${await tail}`;
      }),
    );
    const calls = ['1', '2', '3'].map(async (text) => caller.call(WORK, text, { signal: never }));
    expect(await Promise.all(calls)).toEqual(['1a', '2b', '3c']);
  });

  it('what is told on the way arrives in order and before the answer', async () => {
    const told: string[] = [];
    const caller = callerOf(
      handlerOf(WORK, async (_text, { progress }) => {
        for (const word of ['one', 'two', 'three']) progress?.(word);
        return Promise.resolve('done');
      }),
    );
    const options = { signal: never, progress: (word: string) => void told.push(word) };
    expect(await caller.call(WORK, '', options)).toBe('done');
    expect(told).toEqual(['one', 'two', 'three']);
  });

  it('an abort crosses at once, and the call ends when the work has stopped', async () => {
    let hasStopped = false;
    const caller = callerOf(
      handlerOf(WORK, async (_text, { signal }) => {
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
        });
        hasStopped = true;
        throw new Error('it was cut short');
      }),
    );
    const abort = new AbortController();
    const call = caller.call(WORK, '', { signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    expect(hasStopped).toBe(true);
  });

  it('an abort of one call leaves the others alone', async () => {
    const caller = callerOf(
      handlerOf(WORK, async (text, { signal }) => {
        if (text === 'stays') return 'whole';
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('stopped'));
          });
        });
      }),
    );
    const abort = new AbortController();
    const goes = caller.call(WORK, 'goes', { signal: abort.signal });
    const stays = caller.call(WORK, 'stays', { signal: never });
    abort.abort();
    await expect(goes).rejects.toMatchObject({ code: 'cancelled' });
    expect(await stays).toBe('whole');
  });

  it('a call that is aborted before it starts is never made', async () => {
    const seen: string[] = [];
    const caller = callerOf(handlerOf(WORK, async (text) => Promise.resolve(`${seen.push(text)}`)));
    const { signal } = { signal: AbortSignal.abort() };
    await expect(caller.call(WORK, 'late', { signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await caller.call(WORK, 'next', { signal: never });
    expect(seen).toEqual(['next']);
  });

  it('a failure says all that it said there', async () => {
    const caller = callerOf(
      handlerOf(WORK, async () =>
        Promise.reject(
          new RemoteError('disk_full', 'It is full.', {
            hint: 'Free some.',
            retryAfterSeconds: 7,
            foreignText: 'ENOSPC',
            cause: new Error('below'),
          }),
        ),
      ),
    );
    const failure: unknown = await caller
      .call(WORK, '', { signal: never })
      .catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(CarriedError);
    expect(failure).toMatchObject({
      code: 'disk_full',
      message: 'It is full.',
      hint: 'Free some.',
      retryable: false,
      retryAfterSeconds: 7,
      foreignText: 'ENOSPC',
      cause: expect.objectContaining({ message: 'Error: below' }) as Error,
    });
  });

  it('an answer of another shape is a defect, not an answer', async () => {
    const caller = callerOf({ name: 'work', run: async () => Promise.resolve(42) });
    await expect(caller.call(WORK, '', { signal: never })).rejects.toThrow(z.ZodError);
  });

  it('tells what had been begun when the other side goes, and stops what it had asked for', async () => {
    const { port1, port2 } = new MessageChannel();
    closers.push(() => {
      port1.close();
    });
    let stopped = false;
    const asked = handlerOf(
      WORK,
      async (_text, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            stopped = true;
            reject(new Error('stopped'));
          });
        }),
    );
    const here = createPeer(port1, [asked]);
    const begins = new Promise<void>((resolve) => {
      const there = createPeer(port2, [
        handlerOf(WORK, async () => {
          resolve();
          return there.call(WORK, 'back', { signal: never });
        }),
      ]);
    });
    const begun = here.call(WORK, 'first', { signal: never }).catch((thrown: unknown) => thrown);
    await begins;
    // An answer to something later proves that `begun` has arrived.
    await here.call({ ...WORK, name: 'nobody' }, '', { signal: never }).catch(() => undefined);
    const fresh = here.call(WORK, 'second', { signal: never }).catch((thrown: unknown) => thrown);
    here.gone(new Error('out of memory'));
    expect(await begun).toEqual(expect.any(PeerGoneError));
    expect(await begun).toMatchObject({ begun: true, cause: { message: 'out of memory' } });
    expect(await fresh).toMatchObject({ begun: false });
    expect(stopped).toBe(true);
  });
});

describe('failures as data', () => {
  it('every code, message, hint and foreign text crosses unchanged', () => {
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(
        fc.constantFrom(...(ERROR_CODES as readonly ErrorCode[])),
        text,
        text,
        fc.option(text, { nil: undefined }),
        (code, message, hint, foreignText) => {
          const thrown = new CarriedError(code, message, {
            hint,
            ...(foreignText === undefined ? {} : { foreignText }),
          });
          const back = unpackFailure(structuredClone(packFailure(thrown, never)));
          const { retryable, retryAfterSeconds } = thrown;
          expect(back).toMatchObject({ code, message, hint, retryable, retryAfterSeconds });
          expect(back.foreignText).toBe(foreignText);
        },
      ),
    );
  });

  it('what nobody foresaw is `internal`, and keeps its stack for the log', () => {
    const packed = packFailure(new TypeError('x is not a function'), never);
    const back = unpackFailure(packed);
    expect(back).toMatchObject({ code: 'internal', message: 'Unexpected failure.' });
    expect(String((back.cause as Error).stack)).toContain('peer.test');
  });
});
