import { describe, expect, it } from 'vitest';
import { createUsedAgain } from '../../../src/files/used-again.ts';
import { fc } from '../../support/property.ts';

const BYTES = 64;
const step = fc.record({
  /** How the next memory leaves; empty: none of it does. */
  pieces: fc.array(fc.integer({ min: 1, max: 16 }), { maxLength: 4 }),
  /** So many of the pieces that are out come back, those first that this picks. */
  back: fc.array(fc.nat(20), { maxLength: 6 }),
});

describe('memory that is used again', () => {
  it('is never handed out while any of it is out, and is when all of it is back', () => {
    let again = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const memory = createUsedAgain(BYTES);
        const seen = new Set<ArrayBufferLike>();
        const out: Buffer[] = [];
        for (const { pieces, back } of steps) {
          const next = memory.next();
          expect(next).toHaveLength(BYTES);
          if (seen.has(next.buffer)) again += 1;
          seen.add(next.buffer);
          expect(out.some((piece) => piece.buffer === next.buffer)).toBe(false);
          let at = 0;
          const leaving = pieces.map((length) => {
            at += length;
            return next.subarray(at - length, at);
          });
          if (at > 0) memory.lend(next, at);
          else memory.free(next);
          out.push(...leaving);
          for (const pick of back) {
            const [piece] = out.splice(pick % Math.max(1, out.length), 1);
            if (piece === undefined) continue;
            // A transport may cut a piece in two.
            memory.taken(piece.subarray(0, 1));
            memory.taken(piece.subarray(1));
            memory.taken(Buffer.from('of somebody else'));
          }
        }
      }),
    );
    expect(again).toBeGreaterThan(100);
  });
});
