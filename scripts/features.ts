// Counts the catalogue ids that test titles cite; fails on an id that the catalogue does not know. --json for machines,
// --missing AREA for what is left of an area, --tests FOLDER for other tests than ours.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Area, readCatalogue } from './features/catalogue.ts';
import { citedIds } from './features/citations.ts';

const root = path.resolve(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    missing: { type: 'string' },
    tests: { type: 'string', default: path.join(root, 'test') },
  },
});
const catalogue = readCatalogue(path.join(import.meta.dirname, 'features/catalogue.json'));

const citedIn = new Map<string, string[]>();
for (const name of readdirSync(values.tests, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.test.ts')) continue;
  for (const id of citedIds(readFileSync(path.join(values.tests, name), 'utf8')))
    citedIn.set(id, [...(citedIn.get(id) ?? []), name]);
}

const known = new Set(
  [...catalogue.features, ...catalogue.others].flatMap(({ features }) => [...features.keys()]),
);
const unknown = [...citedIn].filter(([id]) => !known.has(id));
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const provenOf = ({ features }: Area): readonly string[] =>
  [...features.keys()].filter((id) => citedIn.has(id));
const total = (areas: readonly Area[]): number =>
  areas.reduce((sum, { features }) => sum + features.size, 0);
const proven = catalogue.features.flatMap(provenOf);

if (values.missing !== undefined) printMissing(values.missing);
else if (values.json) printJson();
else printTable();

if (unknown.length > 0) {
  for (const [id, files] of unknown) print(`unknown id ${id} in ${files.join(', ')}`);
  process.exitCode = 1;
}

function printTable(): void {
  const row = (area: Area): void => {
    const done = provenOf(area).length;
    const part = `${done}/${area.features.size}`.padStart(8);
    print(
      `${area.area.padEnd(20)} ${part} ${'#'.repeat(Math.round((20 * done) / area.features.size))}`,
    );
  };
  catalogue.features.forEach(row);
  print(`${'Features'.padEnd(20)} ${`${proven.length}/${total(catalogue.features)}`.padStart(8)}`);
  print('');
  catalogue.others.forEach(row);
}

function printJson(): void {
  const count = (area: Area): object => ({
    area: area.area,
    proven: provenOf(area),
    total: area.features.size,
  });
  print(
    JSON.stringify({
      proven: proven.length,
      total: total(catalogue.features),
      areas: catalogue.features.map(count),
      others: catalogue.others.map(count),
      unknown: unknown.map(([id]) => id),
    }),
  );
}

/** By the name of an area or by its prefix. */
function printMissing(wanted: string): void {
  const isWanted = (area: Area): boolean =>
    area.area.toLowerCase() === wanted.toLowerCase() ||
    [...area.features.keys()].some((id) => id.startsWith(`${wanted.toUpperCase()}-`));
  const areas = [...catalogue.features, ...catalogue.others].filter(isWanted);
  if (areas.length === 0) {
    print(`no area "${wanted}"; areas: ${catalogue.features.map(({ area }) => area).join(', ')}`);
    process.exitCode = 1;
  }
  for (const { features } of areas)
    for (const [id, name] of features) if (!citedIn.has(id)) print(`${id}  ${name}`.trimEnd());
}
