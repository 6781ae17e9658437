import { describe, expect, it } from 'vitest';
import { parseTree } from '../../../src/files/tree-listing.ts';
import { fc } from '../../support/property.ts';

const name = fc.constantFrom('a', 'b', 'a/b', 'a b', '-x', 'two\nlines', 'ü', '1 2 3');
const record = fc
  .tuple(
    fc.constantFrom('f', 'd', 'l'),
    fc.constantFrom('644', '755', '0'),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom('1700000000.0000000000', '1700000000.5000000000'),
    fc.constantFrom('1700000001.0000000000', '1700000001.5000000000'),
    fc.integer({ min: 1, max: 3 }),
    name,
  )
  .map((words) => `${words.slice(0, 6).join(' ')} ./${words[6]}\0`);
const listing = fc.array(record, { maxLength: 8 }).map((records) => Buffer.from(records.join('')));

describe('a listing of a pod', () => {
  it('reads the same whatever is known, and what is known is the same object again', () => {
    fc.assert(
      fc.property(listing, listing, (before, now) => {
        const known = parseTree(before).entries;
        const fresh = parseTree(now);
        const again = parseTree(now, known);
        expect(again).toEqual(fresh);
        for (const [path, listed] of again.entries) {
          const old = known.get(path);
          const isKnown = JSON.stringify(old) === JSON.stringify(listed);
          expect(old === listed).toBe(isKnown);
        }
      }),
      { numRuns: 500 },
    );
  });
});
