import { describe, expect, it } from 'vitest';
import { faultFrom } from '../../../src/cli/sandbox/fault-words.ts';
import type { FaultRule } from '../../../src/core/sandbox.ts';
import { createFaultBook } from '../../../src/sandbox/faults.ts';

const KINDS = {
  vast: [
    { kind: 'stuck', summary: 'It never boots.' },
    { kind: 'busy', summary: 'It answers 429.', chaos: true, size: 'number' },
    { kind: 'wrong', summary: 'Another card.', size: 'name' },
  ],
  other: [{ kind: 'odd', summary: 'Something odd.' }],
} as const;
const bench = (chaos = 0, seed = 1) => {
  let now = 100;
  const book = createFaultBook({
    clock: { nowSeconds: () => now },
    seed,
    chaos,
    kinds: () => KINDS,
  });
  return {
    book,
    vast: book.of('vast'),
    pass: (seconds: number) => {
      now += seconds;
    },
  };
};

describe('faults by rule', () => {
  it('strike where they are meant to, and nowhere else', () => {
    const { book, vast } = bench();
    book.add({ kind: 'stuck', offerId: '7' });
    book.add({ kind: 'stuck', machineId: '9' });
    expect(vast.next('stuck', { offerId: '8', machineId: '7' })).toBeUndefined();
    expect(vast.next('stuck', { offerId: '7', machineId: '1' })).toEqual({ kind: 'stuck' });
    expect(vast.next('stuck', { offerId: '1', machineId: '9' })).toEqual({ kind: 'stuck' });
    expect(vast.next('stuck', '9')).toEqual({ kind: 'stuck' });
    expect(vast.next('busy', { offerId: '7' })).toBeUndefined();
    expect(vast.next('stuck')).toBeUndefined();
  });

  it.each([
    [{ kind: 'busy', value: 'abc' }, 'must be a number'],
    [{ kind: 'busy', value: -1 }, 'must be a number'],
    [{ kind: 'busy', value: ' ' }, 'must be a number'],
    [{ kind: 'stuck', value: 5 }, 'takes no value'],
    [{ kind: 'nonsense' }, 'No cloud of this sandbox knows this fault'],
    [{ kind: 'stuck', cloud: 'nowhere' }, 'has no such cloud'],
    [{ kind: 'odd', cloud: 'vast' }, 'No cloud of this sandbox knows this fault'],
  ])('%j is refused, and says why', (rule, words) => {
    const { book } = bench();
    expect(() => book.add(rule)).toThrow(words);
    expect(book.list()).toEqual([]);
  });

  it('a size may be a number as text, or a name where the fault has one', () => {
    const { book, vast } = bench();
    book.add({ kind: 'busy', value: '2.5' });
    book.add({ kind: 'wrong', value: 'RTX 3060' });
    expect(vast.next('busy')).toEqual({ kind: 'busy', value: '2.5' });
    expect(vast.next('wrong')).toEqual({ kind: 'wrong', value: 'RTX 3060' });
  });

  it('strike so often, after so many chances, and on a route only from then on', () => {
    const { book, vast, pass } = bench();
    book.add({ kind: 'stuck', times: 2, skip: 1 });
    expect([1, 2, 3, 4].map(() => vast.next('stuck') !== undefined)).toEqual([
      false,
      true,
      true,
      false,
    ]);
    book.add({ kind: 'busy', route: 'PUT /api/v0/asks', afterSeconds: 60, value: 5 });
    const ask = () => vast.next('busy', { route: 'PUT /api/v0/asks/12/' });
    expect(ask()).toBeUndefined();
    pass(60);
    expect(ask()).toEqual({ kind: 'busy', value: 5 });
    expect(vast.next('busy', { route: 'GET /api/v0/asks/12/' })).toBeUndefined();
    expect(book.list()).toMatchObject([{ struck: 2 }, { struck: 1 }]);
  });

  it('belong to one cloud when they say so; the age of an instance is handed on', () => {
    const { book, vast } = bench();
    book.add({ kind: 'stuck', cloud: 'vast', afterSeconds: 30 });
    expect(book.of('other').next('stuck')).toBeUndefined();
    expect(vast.next('stuck')).toEqual({ kind: 'stuck', afterSeconds: 30 });
  });

  it('a kind that no cloud knows is refused with the list of those there are', () => {
    const { book } = bench();
    expect(() => book.add({ kind: 'stukc' })).toThrow(
      expect.objectContaining({ code: 'invalid_input', hint: 'Faults: busy, odd, stuck, wrong.' }),
    );
    expect(() => book.add({ kind: 'odd', cloud: 'vast' })).toThrow();
  });

  it('end one by one or all at once', () => {
    const { book, vast } = bench(1);
    const { id } = book.add({ kind: 'stuck' });
    book.add({ kind: 'busy' });
    expect(book.clear(id)).toBe(1);
    expect(vast.next('stuck')).toBeUndefined();
    expect(book.clear()).toBe(1);
    expect(vast.next('busy')).toBeUndefined();
  });
});

describe('faults by chance', () => {
  const luck = (seed: number, rate: number) => {
    const { vast } = bench(rate, seed);
    return Array.from({ length: 400 }, () => vast.next('busy', { route: 'GET /x' }) !== undefined);
  };
  it('are the same for the same seed, as often as they are told', () => {
    expect(luck(1, 0.25)).toEqual(luck(1, 0.25));
    expect(luck(1, 0.25)).not.toEqual(luck(2, 0.25));
    const struck = luck(3, 0.25).filter(Boolean).length;
    expect(struck).toBeGreaterThan(60);
    expect(struck).toBeLessThan(140);
  });
  it('are of the kinds that may come by chance', () => {
    const { vast } = bench(1);
    expect(vast.next('busy')).toEqual({ kind: 'busy' });
    expect(vast.next('stuck')).toBeUndefined();
  });
});

describe('a fault as people write it', () => {
  it.each<readonly [string, FaultRule]>([
    ['stuck-loading', { kind: 'stuck-loading' }],
    ['stuck-loading@123', { kind: 'stuck-loading', offerId: '123' }],
    ['outbid+120', { kind: 'outbid', afterSeconds: 120 }],
    ['slow=2+0.5x3@7', { kind: 'slow', value: 2, afterSeconds: 0.5, times: 3, offerId: '7' }],
    ['http-500x2', { kind: 'http-500', times: 2 }],
    [
      'slow=30x2@route:PUT /api/v0/asks',
      { kind: 'slow', value: 30, times: 2, route: 'PUT /api/v0/asks' },
    ],
    ['slow=1.5@GET /api', { kind: 'slow', value: 1.5, route: 'GET /api' }],
    ['stall@/api/v0/bundles', { kind: 'stall', route: '/api/v0/bundles' }],
    ['wrong-gpu=RTX 3060@machine:55', { kind: 'wrong-gpu', value: 'RTX 3060', machineId: '55' }],
    ['exits@offer:9', { kind: 'exits', offerId: '9' }],
  ])('%s', (word, rule) => {
    expect(faultFrom(word)).toEqual(rule);
  });
  it.each(['', '@12', 'Exits', 'exits@', '=5'])('"%s" is refused', (word) => {
    expect(() => faultFrom(word)).toThrow('--fault takes KIND[=VALUE][+SECONDS][xTIMES][@WHERE]');
  });
});
