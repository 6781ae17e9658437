/* Where the figures of a full run are kept. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { replaceBetween } from '../docs/markdown.ts';
import { PAGE_FILE, RESULTS_FILE } from './transport/report.ts';

export const ROOT = path.resolve(import.meta.dirname, '../..');

/** What a program said on both of its outputs. */
export function outputOf(program: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  return `${stdout}${stderr}`.trim();
}

export function commitOf(): string {
  return outputOf('git', ['rev-parse', '--short', 'HEAD']);
}

/** Replaces the text between the markers of `part`. The file is relative to the project; absent: docs/benchmarks.md. */
export function keepText(part: string, text: string, file = PAGE_FILE): void {
  const page = path.join(ROOT, file);
  writeFileSync(page, replaceBetween(readFileSync(page, 'utf8'), part, text));
}

/** Replaces one key of docs/benchmarks.json. */
export function keepFigures(key: string, figures: Readonly<Record<string, unknown>>): void {
  const file = path.join(ROOT, RESULTS_FILE);
  const kept = z.looseObject({}).parse(JSON.parse(readFileSync(file, 'utf8')));
  const takenAt = new Date().toISOString();
  const after = { ...kept, [key]: { takenAt, ...figures } };
  writeFileSync(file, `${JSON.stringify(after, null, 1)}\n`);
}

/** "Taken on 2026-01-31, commit abc1234, with `npm run bench -- x`". */
export function takenWords(command: string, commit: string): string {
  return `Taken on ${new Date().toISOString().slice(0, 10)}, commit ${commit}, with \`${command}\``;
}
