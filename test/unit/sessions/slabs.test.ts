import { expect, it } from 'vitest';
import { createSlabs, type Slabs } from '../../../src/sessions/slabs.ts';

/** Reads `bytes` as a socket does: as much at a time as there is room for. Answers where they lie. */
function readIn(slabs: Slabs, bytes: number, value: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let left = bytes; left > 0; ) {
    const room = slabs.next();
    const piece = room.subarray(0, Math.min(left, room.length, 50_000));
    piece.fill(value);
    slabs.fill(piece.length);
    pieces.push(piece);
    left -= piece.length;
  }
  return pieces;
}
const holds = (pieces: readonly Buffer[], value: number): boolean =>
  pieces.every((piece) => piece.every((byte) => byte === value));
const memories = (pieces: readonly Buffer[]): number =>
  new Set(pieces.map(({ buffer }) => buffer)).size;

it('what was read stays as it was, unless memory may be used again', () => {
  const slabs = createSlabs();
  const first = readIn(slabs, 3 << 20, 1);
  const second = readIn(slabs, 9 << 20, 2);
  expect(holds(first, 1)).toBe(true);
  expect(holds(second, 2)).toBe(true);
});

it('memory that may be used again is little, and what was read just before is still there', () => {
  const slabs = createSlabs();
  slabs.reuse(true);
  const pieces = readIn(slabs, 64 << 20, 1);
  expect(memories(pieces)).toBeLessThanOrEqual(5);
  const kept = readIn(slabs, 1000, 2);
  readIn(slabs, 2 << 20, 3);
  expect(holds(kept, 2)).toBe(true);
});

it('neither what was read before nor what is read after is ever overwritten', () => {
  const slabs = createSlabs();
  const before = readIn(slabs, 300_000, 1);
  slabs.reuse(true);
  readIn(slabs, 20 << 20, 2);
  // Where the socket reads to was told before: the first that comes afterwards still lies in memory that was used again.
  const told = slabs.next();
  slabs.reuse(false);
  told.fill(3, 0, 1000);
  slabs.fill(1000);
  const after = readIn(slabs, 5 << 20, 4);
  slabs.reuse(true);
  readIn(slabs, 20 << 20, 5);
  expect(holds(before, 1)).toBe(true);
  expect(holds([told.subarray(0, 1000)], 3)).toBe(true);
  expect(holds(after, 4)).toBe(true);
});
