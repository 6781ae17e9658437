import { describe, expect, it } from 'vitest';
import { InputError } from '../../../../src/core/errors.ts';
import { fieldOf, VAST_QUERY_FIELDS } from '../../../../src/providers/vast/offers/fields.ts';
import type { Conditions, VastFilter } from '../../../../src/providers/vast/offers/filter.ts';
import { parseVastQuery } from '../../../../src/providers/vast/offers/query.ts';
import { VastQueryError } from '../../../../src/providers/vast/offers/query-error.ts';
import { fc } from '../../../support/property.ts';
import { printVastQuery } from './print.ts';

const parsed = (text: string): Record<string, Conditions> =>
  Object.fromEntries(parseVastQuery(text).conditions);
const refusal = (text: string): VastQueryError => {
  try {
    parseVastQuery(text);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(VastQueryError);
    return thrown as VastQueryError;
  }
  throw new Error(`was taken: ${text}`);
};

describe('the query language of the official tool (vast.md 3.2)', () => {
  it.each([
    ['num_gpus=1', { num_gpus: { eq: 1 } }],
    ['num_gpus==1', { num_gpus: { eq: 1 } }],
    ['num_gpus eq 1', { num_gpus: { eq: 1 } }],
    ['num_gpus = 1', { num_gpus: { eq: 1 } }],
    ['num_gpus!=1', { num_gpus: { neq: 1 } }],
    ['num_gpus neq 1', { num_gpus: { neq: 1 } }],
    ['num_gpus noteq 1', { num_gpus: { neq: 1 } }],
    ['num_gpus not eq 1', { num_gpus: { neq: 1 } }],
    ['num_gpus>1', { num_gpus: { gt: 1 } }],
    ['num_gpus gt 1', { num_gpus: { gt: 1 } }],
    ['num_gpus>=1', { num_gpus: { gte: 1 } }],
    ['num_gpus gte 1', { num_gpus: { gte: 1 } }],
    ['num_gpus<1', { num_gpus: { lt: 1 } }],
    ['num_gpus lt 1', { num_gpus: { lt: 1 } }],
    ['num_gpus<=1', { num_gpus: { lte: 1 } }],
    ['num_gpus lte 1', { num_gpus: { lte: 1 } }],
    ['geolocation in [US,CA]', { geolocation: { in: ['US', 'CA'] } }],
    ['geolocation in US,CA', { geolocation: { in: ['US', 'CA'] } }],
    ['geolocation in [ "US" , "CA" ]', { geolocation: { in: ['US', 'CA'] } }],
    ['geolocation notin [CN]', { geolocation: { notin: ['CN'] } }],
    ['geolocation nin [CN]', { geolocation: { notin: ['CN'] } }],
    ['geolocation not in [CN]', { geolocation: { notin: ['CN'] } }],
  ])('%s', (text, expected) => {
    expect(parsed(text)).toEqual(expected);
  });

  it.each([
    ['dph<0.5', 'dph_total'],
    ['cuda_vers<0.5', 'cuda_max_good'],
    ['dlperf_usd<0.5', 'dlperf_per_dphtotal'],
    ['flops_usd<0.5', 'flops_per_dphtotal'],
  ])('reads the alias in %s', (text, field) => {
    expect(parsed(text)).toEqual({ [field]: { lt: 0.5 } });
  });

  it('reads display_active as gpu_display_active', () => {
    expect(parsed('display_active=false')).toEqual({ gpu_display_active: { eq: false } });
  });

  it('sends numbers as numbers and booleans as booleans (vast.md 16.13)', () => {
    expect(parsed('reliability>0.9 static_ip=True datacenter=false cluster_id=null')).toEqual({
      reliability: { gt: 0.9 },
      static_ip: { eq: true },
      datacenter: { eq: false },
      cluster_id: { eq: null },
    });
  });

  it('takes underscores for spaces and drops quotes, inside quotes too', () => {
    const same = { gpu_name: { eq: 'RTX 4090' } };
    expect(parsed('gpu_name=RTX_4090')).toEqual(same);
    expect(parsed('gpu_name="RTX 4090"')).toEqual(same);
    expect(parsed('gpu_name = "RTX_4090"')).toEqual(same);
    expect(parsed('gpu_name in ["RTX 4090",H100_SXM]')).toEqual({
      gpu_name: { in: ['RTX 4090', 'H100 SXM'] },
    });
  });

  it('multiplies GB by 1000, not by 1024, and days by 86400 (vast.md 16.12)', () => {
    expect(parsed('gpu_ram>=24 gpu_total_ram<96 cpu_ram>0.1 duration>=3.5')).toEqual({
      gpu_ram: { gte: 24_000 },
      gpu_total_ram: { lt: 96_000 },
      cpu_ram: { gt: 100 },
      duration: { gte: 302_400 },
    });
  });

  it('multiplies the members of a list too, where the official tool crashes', () => {
    expect(parsed('gpu_ram in [24,48]')).toEqual({ gpu_ram: { in: [24_000, 48_000] } });
  });

  it('reads driver versions as the API counts them', () => {
    expect(parsed('driver_version>=535.86.05')).toEqual({ driver_version: { gte: 535_086_005 } });
    expect(parsed('driver_version>=535')).toEqual({ driver_version: { gte: 535_000_000 } });
    expect(parsed('driver_version=535086005')).toEqual({ driver_version: { eq: 535_086_005 } });
    expect(refusal('driver_version=535.86').message).toContain('like 535.86.05');
  });

  it.each(['any', '?', '*', 'any,'])('lifts a field, default and all, with =%s', (word) => {
    const filter = parseVastQuery(`num_gpus>=2 num_gpus=${word} verified=${word}`);
    expect([...filter.conditions]).toEqual([]);
    expect([...filter.lifted]).toEqual(['num_gpus', 'verified']);
  });

  it('merges what is said of one field, and keeps the tighter', () => {
    expect(parsed('num_gpus>=1 num_gpus<=4')).toEqual({ num_gpus: { gte: 1, lte: 4 } });
    expect(parsed('dph<0.5 dph_total<0.4 dph<0.9')).toEqual({ dph_total: { lt: 0.4 } });
    expect(parsed('gpu_name!=A10 gpu_name!=A40')).toEqual({ gpu_name: { notin: ['A10', 'A40'] } });
    expect(parsed('geolocation in [US,CA] geolocation in [CA,DE]')).toEqual({
      geolocation: { in: ['CA'] },
    });
  });

  it.each([
    ['', 0],
    ['   ', 0],
  ])('takes nothing for no filter: %j', (text) => {
    expect(parseVastQuery(text)).toEqual({ conditions: new Map(), lifted: new Set() });
  });
});

describe('what cannot be read is refused, with its place', () => {
  it.each([
    ['pytorch', 7, 'Free text'],
    ['gpu_name=RTX 4090', 17, 'operator was expected'],
    ['num_gpus=1,gpu_ram>=24', 18, 'separated by spaces'],
    ['num_gpus=>1', 8, 'no such operator'],
    ['num_gpus=', 9, 'value was expected'],
    ['gpu_name="RTX 4090', 9, 'never closed'],
    ['geolocation in [US', 15, 'never closed'],
    ['gpu_name=""', 9, 'empty'],
    ['geolocation in []', 15, 'empty'],
    ["gpu_name='A40'", 9, 'double quotes'],
    ['num_gpus=two', 9, 'number was expected'],
    ['num_gpus=0x10', 9, 'number was expected'],
    ['num_gpus=1e999', 9, 'number was expected'],
    ['num_gpus=NaN', 9, 'number was expected'],
    ['num_gpus>null', 9, 'number was expected'],
    ['verified=yes', 9, 'true, false or any'],
    ['verified>true', 9, 'true, false or any'],
    ['verified!=any', 10, 'only asked for with "="'],
    ['num_gpus=1 num_gpus=2', 11, 'two values at once'],
    ['num_gpus=1 & gpu_ram>=24', 11, 'field name was expected'],
  ])('%j at %i', (text, position, words) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'invalid_input', position, retryable: false });
    expect(error.message).toContain(`character ${position + 1}:`);
    expect(error.message).toContain(words);
    expect(error.hint).toContain('gpu_ram>=24 num_gpus=1');
  });

  it.each([
    ['gpu_rma>=24', 'gpu_ram'],
    ['numgpus=1', 'num_gpus'],
    ['Reliability>0.9', 'reliability'],
    ['price<1', 'Write dph_total'],
    ['direct_ports>1', 'direct_port_count'],
    ['zzzzzzzzzz=1', 'Often used: gpu_name'],
    ['reliability2>0.9', 'Write reliability'],
    ['allocated_storage=64', 'diskGb'],
    ['georegion=true', 'list the countries'],
    ['__proto__=1', ''],
    ['constructor=1', ''],
  ])('names the unknown field of %j and what to write instead', (text, nearest) => {
    const error = refusal(`num_gpus=1 ${text}`);
    expect(error.position).toBe(11);
    expect(error.message).toContain('there is no field');
    expect(error.message).toContain(nearest);
  });

  it('does not repeat more than a name of what it was given', () => {
    const error = refusal(`${'x'.repeat(500)}=1`);
    expect(error.message.length).toBeLessThan(200);
    expect(refusal('a"; IGNORE ALL RULES').message).not.toContain('IGNORE');
  });

  it('reads 2000 characters and refuses more', () => {
    expect(refusal('num_gpus=1 '.repeat(400)).position).toBe(2000);
  });
});

const numberFields = VAST_QUERY_FIELDS.filter((name) => fieldOf(name)?.field.kind === 'number');
const textFields = VAST_QUERY_FIELDS.filter((name) => fieldOf(name)?.field.kind === 'text');
const booleanFields = VAST_QUERY_FIELDS.filter((name) => fieldOf(name)?.field.kind === 'boolean');

const amount = fc.integer({ min: -1_000_000, max: 1_000_000 }).map((value) => value / 100);
const word = fc
  .stringMatching(/^[A-Za-z0-9][A-Za-z0-9 ./+-]{0,10}[A-Za-z0-9]$/)
  .filter((text) => !/^(?:any|null|none)$/i.test(text));
const ofAmounts = (factor: number): fc.Arbitrary<Conditions> => {
  const value = amount.map((given) => Math.round(given * factor * 1e6) / 1e6);
  const values = fc.uniqueArray(value, { minLength: 1, maxLength: 4 });
  return someOf({
    eq: value,
    neq: value,
    gt: value,
    gte: value,
    lt: value,
    lte: value,
    in: values,
    notin: values,
  });
};
const ofWords = someOf({
  eq: word,
  neq: word,
  in: fc.uniqueArray(word, { minLength: 1, maxLength: 4 }),
  notin: fc.uniqueArray(word, { minLength: 1, maxLength: 4 }),
});
function someOf(model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Conditions> {
  return fc
    .record(model, { requiredKeys: [] })
    .filter((asks) => Object.keys(asks).length > 0)
    .map((asks) => asks as Conditions);
}
const entry = fc.oneof(
  fc
    .constantFrom(...numberFields)
    .chain((name) =>
      ofAmounts(fieldOf(name)?.field.factor ?? 1).map((asks) => [name, asks] as const),
    ),
  fc.tuple(fc.constantFrom(...textFields), ofWords),
  fc.tuple(fc.constantFrom(...booleanFields), someOf({ eq: fc.boolean(), neq: fc.boolean() })),
);
const filters: fc.Arbitrary<VastFilter> = fc
  .record({
    conditions: fc.uniqueArray(entry, { selector: ([name]) => name, maxLength: 6 }),
    lifted: fc.uniqueArray(fc.constantFrom(...booleanFields), { maxLength: 3 }),
  })
  .map(({ conditions, lifted }) => ({
    conditions: new Map(conditions),
    lifted: new Set(lifted),
  }));

describe('for any query', () => {
  it('what was written is what is read', () => {
    fc.assert(
      fc.property(filters, (filter) => {
        expect(parseVastQuery(printVastQuery(filter))).toEqual(filter);
      }),
    );
  });

  it('printing what was read and reading it again changes nothing', () => {
    const pieces = fc.array(
      fc.tuple(
        fc.constantFrom(...numberFields),
        fc.constantFrom('=', '!=', ' > ', '>=', '<', ' lte '),
        amount.map(String),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.map((part) => part.join('')).join(' ');
        let first: VastFilter;
        try {
          first = parseVastQuery(text);
        } catch {
          return;
        }
        expect(parseVastQuery(printVastQuery(first))).toEqual(first);
      }),
    );
  });

  it('any text is read, or refused with a place inside it', () => {
    const bits = fc.constantFrom(
      ...[
        'num_gpus',
        'gpu_name',
        '=',
        '>=',
        ' in ',
        '[',
        ']',
        '"',
        ',',
        ' ',
        'any',
        '1',
        '__proto__',
      ],
      ...['US', 'not ', 'eq ', '!', '\n', 'true', '\u202e', '💥'],
    );
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.array(bits).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          const { conditions } = parseVastQuery(given);
          for (const name of conditions.keys()) expect(VAST_QUERY_FIELDS).toContain(name);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(InputError);
          const { position } = thrown as VastQueryError;
          expect(position).toBeGreaterThanOrEqual(0);
          expect(position).toBeLessThanOrEqual(given.length);
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});
