// Writes the generated parts of the docs: the two tables in README.md, docs/tools.md, the faults in docs/sandbox.md and the tables in docs/benchmarks.md. --check only compares. Either way
// it says which skills have facts that were not checked for long.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PLATFORMS } from '../src/providers/ssh/platforms/recognise.ts';
import { LAMBDA_FAULTS } from '../src/sandbox/lambda/fault-kinds.ts';
import { RUNPOD_FAULTS } from '../src/sandbox/runpod/fault-kinds.ts';
import { VAST_FAULTS } from '../src/sandbox/vast/fault-kinds.ts';
import { SETTINGS } from '../src/settings.ts';
import { TOOLS } from '../src/tools/index.ts';
import { benchmarksPage, PAGE_FILE } from './bench/transport/report.ts';
import { freshnessOf } from './docs/freshness.ts';
import {
  faultsTable,
  replaceBetween,
  settingsTable,
  toolsPage,
  toolsTable,
} from './docs/markdown.ts';
import { platformsPage } from './docs/platforms.ts';

const root = path.resolve(import.meta.dirname, '..');
const read = (name: string): string => {
  const file = path.join(root, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};
const wanted = new Map([
  [
    'README.md',
    replaceBetween(
      replaceBetween(read('README.md'), 'tools', toolsTable(TOOLS)),
      'settings',
      settingsTable(SETTINGS),
    ),
  ],
  ['docs/tools.md', toolsPage(TOOLS)],
  ['docs/providers/platforms.md', platformsPage(PLATFORMS)],
  [PAGE_FILE, benchmarksPage(root)],
  [
    'docs/sandbox.md',
    replaceBetween(
      replaceBetween(
        replaceBetween(read('docs/sandbox.md'), 'faults', faultsTable(VAST_FAULTS)),
        'runpod-faults',
        faultsTable(RUNPOD_FAULTS),
      ),
      'lambda-faults',
      faultsTable(LAMBDA_FAULTS),
    ),
  ],
]);

const stale = [...wanted].filter(([name, text]) => read(name) !== text);
if (!process.argv.includes('--check'))
  for (const [name, text] of stale) {
    writeFileSync(path.join(root, name), text);
    process.stdout.write(`wrote ${name}\n`);
  }
else if (stale.length > 0) {
  for (const [name, text] of stale) {
    const had = read(name).split('\n');
    const line = text.split('\n').findIndex((each, index) => each !== had[index]);
    process.stdout.write(`${name} is stale from line ${line + 1} on\n`);
  }
  process.stdout.write('Run `npm run docs` and commit the result.\n');
  process.exitCode = 1;
}

for (const name of readdirSync(path.join(root, 'skills'))) {
  const { level, message } = freshnessOf(read(`skills/${name}/SKILL.md`), new Date());
  if (level !== 'ok') process.stdout.write(`${level}: skill ${name} ${message}\n`);
  if (level === 'error') process.exitCode = 1;
}
