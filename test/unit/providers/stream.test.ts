import { expect, it } from 'vitest';
import { readUntilQuiet } from '../../../src/providers/answer.ts';

const LIMITS = { maxBytes: 1000, quietSeconds: 0.1, timeoutSeconds: 5 };
let closed = 0;

/** Says the words, then nothing more for ever. */
function endless(...words: readonly string[]): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const left = [...words];
      return {
        async next() {
          const word = left.shift();
          if (word === undefined) return new Promise(() => undefined);
          return Promise.resolve({ done: false, value: Buffer.from(word) });
        },
        async return() {
          closed += 1;
          return Promise.resolve({ done: true, value: undefined });
        },
      };
    },
  };
}

it('a stream without an end is read until it is quiet, and left closed', async () => {
  const before = closed;
  const started = performance.now();
  expect(await readUntilQuiet(endless('one ', 'two'), LIMITS)).toBe('one two');
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(closed).toBe(before + 1);
});

it('one that says nothing ends with the time, one that says too much with the bytes', async () => {
  const silent = { ...LIMITS, timeoutSeconds: 0.2 };
  expect(await readUntilQuiet(endless(), silent)).toBe('');
  expect(await readUntilQuiet(endless('abcdef', 'ghij'), { ...LIMITS, maxBytes: 8 })).toBe(
    'abcdefgh',
  );
});
