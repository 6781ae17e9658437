import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { COMMANDS, SERVERS } from '../../../src/cli/index.ts';
import { ERROR_CODES } from '../../../src/core/errors.ts';
import { VAST_QUERY_FIELDS } from '../../../src/providers/vast/offers/fields.ts';
import { parseVastQuery } from '../../../src/providers/vast/offers/query.ts';
import { VAST_FAULTS } from '../../../src/sandbox/vast/fault-kinds.ts';
import { SETTINGS } from '../../../src/settings.ts';
import { TOOLS } from '../../../src/tools/index.ts';
import { vocabulary } from '../skills/skill-file.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const scripts = Object.keys(
  z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')))
    .scripts,
);
const commands = [...COMMANDS, ...SERVERS].map(({ name }) => name);
const DOCS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/architecture.md',
  'docs/tools.md',
  'docs/providers/vast.md',
  'docs/sandbox.md',
  'examples/tiny-lm/README.md',
];
const matches = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, found = '']) => found);

/** As GitHub names headings: small letters, no punctuation, dashes for spaces. */
const anchorsOf = (text: string): readonly string[] =>
  matches(text, /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

describe.each(DOCS)('%s', (file) => {
  const text = read(file);

  it('has only links that resolve', () => {
    for (const link of matches(text, /\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [target = '', anchor] = link.split('#');
      const found = path.resolve(root, path.dirname(file), target);
      expect(existsSync(found), link).toBe(true);
      if (anchor !== undefined)
        expect(anchorsOf(readFileSync(found, 'utf8')), link).toContain(anchor);
    }
  });

  it('names only npm scripts, variables and files that exist', () => {
    expect(matches(text, /npm run ([a-z:]+)/g).filter((name) => !scripts.includes(name))).toEqual(
      [],
    );
    const variables: readonly string[] = SETTINGS.map(({ variable }) => variable);
    expect(
      matches(text, /\b(GPU_LEASE_[A-Z_]+[A-Z])\b/g).filter((name) => !variables.includes(name)),
    ).toEqual([]);
    for (const source of matches(text, /`((?:src|test|scripts|skills|examples|docs)\/[\w./-]+)`/g))
      expect(existsSync(path.join(root, source)), source).toBe(true);
  });
});

describe('README.md', () => {
  const text = read('README.md');

  it('opens with the two commands that every change must keep working', () => {
    expect(matches(text, /```sh\n(npm [^\n]+)\n```/g)).toEqual([
      'npm ci && npm run demo',
      'npm ci && npm test',
    ]);
  });

  it('lists exactly the commands that exist', () => {
    const section = text.slice(text.indexOf('## Commands for people'), text.indexOf('## Config'));
    const listed = matches(section, /^\| (`[^|]+) \|/gm).flatMap((cell) =>
      matches(cell, /`([a-z]+)[ `]/g),
    );
    expect(listed.toSorted()).toEqual(commands.toSorted());
  });

  it('runs only commands of ours', () => {
    const run = matches(text, /(?:gpu-lease|dist\/main\.js) ([a-z]{3,})/g);
    expect(run.length).toBeGreaterThan(2);
    expect(run.filter((name) => !commands.includes(name))).toEqual([]);
  });

  it('shows calls that the schemas accept', () => {
    const block = /## A day, in calls\n\n```text\n([^]*?)```/.exec(text)?.[1] ?? '';
    const calls = [...block.matchAll(/^([a-z_]+) +(\{.*?\})/gm)];
    expect(calls.length).toBe(10);
    for (const [line, name, body = ''] of calls) {
      const tool = TOOLS.find((each) => each.name === name);
      const args: unknown = JSON.parse(body.replaceAll('…', 'aaaaaa'));
      expect(tool?.input.safeParse(args).error?.issues ?? (tool ? [] : 'no tool'), line).toEqual(
        [],
      );
    }
  });

  it('explains only errors that can be met', () => {
    const section = text.slice(text.indexOf('## Troubleshooting'));
    const codes = matches(section, /^\| `([a-z_]+)` \|/gm);
    expect(codes).toEqual(['auth_rejected', 'path_outside_workspace', 'state_unwritable']);
    for (const code of codes) expect(ERROR_CODES).toContain(code);
  });
});

describe('docs/providers/vast.md', () => {
  const text = read('docs/providers/vast.md');

  it('shows only queries that can be read', () => {
    const block = /```text\n([^]*?)```/.exec(text)?.[1] ?? '';
    const queries = block.trim().split('\n');
    expect(queries.length).toBeGreaterThan(3);
    for (const query of queries) expect(() => parseVastQuery(query), query).not.toThrow();
  });

  it('explains only errors, tools and parameters that exist', () => {
    const section = text.slice(text.indexOf('## When something goes wrong'));
    const codes = matches(section, /^\| `([a-z_]+)`/gm);
    expect(codes.length).toBeGreaterThan(8);
    for (const code of codes) expect(ERROR_CODES).toContain(code);
    const words = new Set([
      ...ERROR_CODES,
      ...vocabulary(),
      ...VAST_QUERY_FIELDS,
      // A field of errors, permissions of an API key, and aliases of the query language.
      'retryAfterSeconds',
      ...['instance_read', 'instance_write', 'user_read', 'user_write'],
      ...['cuda_vers', 'dlperf_usd', 'flops_usd', 'display_active'],
    ]);
    const used = matches(text.replace(/```[^]*?```/g, ''), /`([a-z]+(?:[A-Z_][A-Za-z]+)+)`/g);
    expect(used.filter((word) => !words.has(word))).toEqual([]);
  });

  it('names faults that the sandbox has', () => {
    const known = VAST_FAULTS.map(({ kind }) => kind);
    for (const page of [text, read('docs/sandbox.md'), read('README.md')]) {
      const named = matches(page, /--fault ([a-z]+(?:-[a-z]+)*)(?=[\s`=@+]|x\d)/g);
      expect(named.length).toBeGreaterThan(0);
      expect(named.filter((kind) => !known.includes(kind.replace(/x$/, '')))).toEqual([]);
    }
  });
});
