// Which features of the catalogue are proven by tests. Options: --json, --missing AREA.
import path from 'node:path';
import { runFeatures } from './features/run.ts';

process.exitCode = runFeatures(
  process.argv.slice(2),
  path.resolve(import.meta.dirname, '../test'),
  (line) => {
    process.stdout.write(`${line}\n`);
  },
);
