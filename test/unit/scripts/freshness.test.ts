import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { freshnessOf } from '../../../scripts/docs/freshness.ts';

const skills = path.resolve(import.meta.dirname, '../../../skills');
const stamped = (stamp: string): string => `---\nmetadata:\n  verified: "${stamp}"\n---\n`;
const now = new Date('2026-11-22T00:00:00Z');

it.each([
  ['2026-11', 'ok'],
  ['2026-05', 'ok'],
  ['2026-04', 'warning'],
  ['2025-11', 'warning'],
  ['2026-12', 'error'],
  ['2026-13', 'error'],
  ['', 'error'],
])('a stamp of %j is %s [SK-03]', (stamp, level) => {
  expect(freshnessOf(stamped(stamp), now).level).toBe(level);
});

it.each(readdirSync(skills))('skill %s carries a stamp that is no error today [SK-03]', (name) => {
  const text = readFileSync(path.join(skills, name, 'SKILL.md'), 'utf8');
  expect(freshnessOf(text, new Date()).level).not.toBe('error');
});
