import { unchecked } from './bytes.ts';
import { operationOf } from './pickle-codes.ts';
import { createPickleStack, type PickleFacts } from './pickle-stack.ts';

export interface PickleScan {
  /** Reads on; answers how many bytes of the chunk it took once the pickle has ended, else undefined. */
  push(chunk: Buffer): number | undefined;
  /** Throws when the pickle has not ended. */
  facts(): PickleFacts;
  /** Whether joblib wrote it: raw arrays lie between its codes, so that it cannot be walked. */
  isJoblib(): boolean;
}

const MAX_STRING_BYTES = 100;
const MAX_HELD_BYTES = 64 << 10;

/**
 * Walks the codes of one pickle without ever running one: names it would look up are compared with a list, everything else
 * only moves on a stack. `onText` hears each short text in it. Memory stays small whatever it holds.
 */
export function createPickleScan(onText?: (text: string) => void): PickleScan {
  const stack = createPickleStack(onText);
  let held: Buffer = Buffer.alloc(0);
  let skipping = 0;

  /** One code and its argument at `at`; answers where the next begins, undefined when more bytes are needed. */
  const step = (buffer: Buffer, at: number): number | undefined => {
    const code = buffer[at];
    if (code === undefined) return undefined;
    const operation = operationOf(code);
    const length = operation.bytes(buffer, at + 1);
    if (length === undefined) {
      if (buffer.length - at > MAX_HELD_BYTES) throw unchecked('its pickle holds a line too long');
      return undefined;
    }
    const { start, size, next } = length;
    // What is long is content; no name and no key is.
    if (size > MAX_STRING_BYTES && (operation.effect === 'text' || operation.effect === 'quoted')) {
      stack.pushLong();
      return next;
    }
    const isContent =
      size > MAX_STRING_BYTES && (operation.effect === 'push' || operation.effect === 'number');
    if (next > buffer.length && !isContent) return undefined;
    stack.run(operation, isContent ? Buffer.alloc(0) : buffer.subarray(start, start + size));
    return next;
  };

  return {
    push(chunk) {
      const skipped = Math.min(skipping, chunk.length);
      skipping -= skipped;
      const before = held.length;
      const buffer =
        before === 0 ? chunk.subarray(skipped) : Buffer.concat([held, chunk.subarray(skipped)]);
      let at = 0;
      while (!stack.hasEnded()) {
        const next = step(buffer, at);
        if (next === undefined) break;
        at = next;
        if (at > buffer.length) {
          skipping = at - buffer.length;
          at = buffer.length;
        }
      }
      if (stack.hasEnded()) return skipped + at - before;
      held = Buffer.from(buffer.subarray(at));
      return undefined;
    },
    facts: () => stack.facts(),
    isJoblib: () => stack.isJoblib(),
  };
}
