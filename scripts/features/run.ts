import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Area, type Catalogue, readCatalogue } from './catalogue.ts';
import { citedIds } from './citations.ts';

interface Count {
  readonly catalogue: Catalogue;
  readonly citedIn: ReadonlyMap<string, readonly string[]>;
  readonly print: (line: string) => void;
}

/**
 * Counts the catalogue ids that the titles of the tests below `testFolder` cite. `--json` for machines, `--missing AREA` for
 * what is left of an area (by name or prefix). Answers with the exit code: 1 for an id or an area that nobody knows.
 */
export function runFeatures(
  args: readonly string[],
  testFolder: string,
  print: (line: string) => void,
): number {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean', default: false }, missing: { type: 'string' } },
  });
  const catalogue = readCatalogue(path.join(import.meta.dirname, 'catalogue.json'));
  const count = { catalogue, citedIn: readCitations(testFolder), print };
  const known = new Set(all(count).flatMap(({ features }) => [...features.keys()]));
  const unknown = [...count.citedIn].filter(([id]) => !known.has(id));

  let found = true;
  if (values.missing !== undefined) found = printMissing(count, values.missing);
  else if (values.json) printJson(count, unknown);
  else printTable(count);
  if (!values.json)
    for (const [id, files] of unknown) print(`unknown id ${id} in ${files.join(', ')}`);
  return found && unknown.length === 0 ? 0 : 1;
}

function readCitations(folder: string): ReadonlyMap<string, readonly string[]> {
  const citedIn = new Map<string, string[]>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.test.ts')) continue;
    for (const id of citedIds(readFileSync(path.join(folder, name), 'utf8')))
      citedIn.set(id, [...(citedIn.get(id) ?? []), name]);
  }
  return citedIn;
}

function printTable({ catalogue, citedIn, print }: Count): void {
  const row = (name: string, done: number, total: number): void => {
    const bar = '#'.repeat(Math.round((20 * done) / total));
    print(`${name.padEnd(20)} ${`${done}/${total}`.padStart(8)} ${bar}`.trimEnd());
  };
  const rows = (areas: readonly Area[]): void => {
    for (const area of areas) row(area.area, proven(area, citedIn).length, area.features.size);
  };
  rows(catalogue.features);
  row('Features', sum(catalogue.features, citedIn), total(catalogue.features));
  print('');
  rows(catalogue.others);
}

function printJson(
  { catalogue, citedIn, print }: Count,
  unknown: readonly [string, unknown][],
): void {
  const entry = (area: Area): object => ({
    area: area.area,
    proven: proven(area, citedIn),
    total: area.features.size,
  });
  print(
    JSON.stringify({
      proven: sum(catalogue.features, citedIn),
      total: total(catalogue.features),
      areas: catalogue.features.map(entry),
      others: catalogue.others.map(entry),
      unknown: unknown.map(([id]) => id),
    }),
  );
}

function printMissing(count: Count, wanted: string): boolean {
  const areas = all(count).filter(
    ({ area, features }) =>
      area.toLowerCase() === wanted.toLowerCase() ||
      [...features.keys()].some((id) => id.startsWith(`${wanted.toUpperCase()}-`)),
  );
  if (areas.length === 0)
    count.print(
      `no area "${wanted}"; there are: ${all(count)
        .map(({ area }) => area)
        .join(', ')}`,
    );
  for (const { features } of areas)
    for (const [id, name] of features)
      if (!count.citedIn.has(id)) count.print(`${id}  ${name}`.trimEnd());
  return areas.length > 0;
}

function all({ catalogue }: Count): readonly Area[] {
  return [...catalogue.features, ...catalogue.others];
}
function proven({ features }: Area, citedIn: Count['citedIn']): readonly string[] {
  return [...features.keys()].filter((id) => citedIn.has(id));
}
function sum(areas: readonly Area[], citedIn: Count['citedIn']): number {
  return areas.reduce((found, area) => found + proven(area, citedIn).length, 0);
}
function total(areas: readonly Area[]): number {
  return areas.reduce((found, { features }) => found + features.size, 0);
}
