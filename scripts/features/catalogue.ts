import { readFileSync } from 'node:fs';
import { z } from 'zod';

const fileSchema = z.object({
  areas: z.array(z.object({ area: z.string(), features: z.record(z.string(), z.string()) })),
  others: z.array(
    z.object({
      name: z.string(),
      prefix: z.string(),
      digits: z.int(),
      ranges: z.array(z.tuple([z.int(), z.int()])),
    }),
  ),
});

export interface Area {
  readonly area: string;
  /** id -> short name; empty for the lists that have ids only. */
  readonly features: ReadonlyMap<string, string>;
}
export interface Catalogue {
  /** The features: the number that counts. */
  readonly features: readonly Area[];
  /** Further lists that tests may cite: signatures, gotchas, lessons, scenarios. */
  readonly others: readonly Area[];
}

export function readCatalogue(file: string): Catalogue {
  const { areas, others } = fileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  return {
    features: areas.map(({ area, features }) => ({
      area,
      features: new Map(Object.entries(features)),
    })),
    others: others.map(({ name, prefix, digits, ranges }) => ({
      area: name,
      features: new Map(
        ranges
          .flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
          .map((number) => [`${prefix}${String(number).padStart(digits, '0')}`, '']),
      ),
    })),
  };
}
