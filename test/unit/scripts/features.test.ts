import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCatalogue } from '../../../scripts/features/catalogue.ts';
import { citedIds } from '../../../scripts/features/citations.ts';
import { runFeatures } from '../../../scripts/features/run.ts';

describe('citedIds', () => {
  it.each([
    ["it('one [SE-10]', () => {})", ['SE-10']],
    ["it('two [SE-10, SE-11]', () => {})", ['SE-10', 'SE-11']],
    ["test('apart [TR-02] [D-053] [U7]', () => {})", ['TR-02', 'D-053', 'U7']],
    ["describe('whole group [L-03]', () => { it('x', () => {}) })", ['L-03']],
    ["it.each([[1]])('table %s [RE-08]', () => {})", ['RE-08']],
    ["it.each`a\n${1}`('template table [RE-06]', () => {})", ['RE-06']],
    ["it.concurrent('c [CO-01]', () => {})", ['CO-01']],
    ['it(`${name} obeys [TD-04]`, () => {})', ['TD-04']],
    ["it('twice [SE-10]', f); it('twice [SE-10]', f)", ['SE-10']],
    ["function suite(n: string) { it('inside a function [PR-02]', f) }", ['PR-02']],
  ])('reads the titles of %s', (source, ids) => {
    expect(citedIds(source)).toEqual(ids);
  });

  it.each([
    "// it('comment [SE-10]', () => {})",
    "const text = 'just a string [SE-10]';",
    "expect('[SE-10]').toBe('[SE-10]')",
    "it.skip('switched off [SE-10]', () => {})",
    "describe.skip('switched off', () => { it('inside [SE-10]', () => {}) })",
    "it.todo('later [SE-10]')",
    "it('no id [here], [X], [SE10] or [se-10]', () => {})",
    "emit('other call [SE-10]', () => {})",
  ])('counts nothing in %s', (source) => {
    expect(citedIds(source)).toEqual([]);
  });
});

describe('the catalogue', () => {
  const { features, others } = readCatalogue(
    path.resolve(import.meta.dirname, '../../../scripts/features/catalogue.json'),
  );

  it('has every feature once, numbered without gaps, each with a short name', () => {
    const ids = features.flatMap((area) => [...area.features.keys()]);
    expect(new Set(ids).size).toBe(431);
    for (const { features: named } of features)
      for (const [index, [id, name]] of [...named].entries()) {
        expect(Number(id.slice(3))).toBe(index + 1);
        expect(name.length).toBeGreaterThan(5);
        expect(name.length).toBeLessThan(60);
      }
  });

  it('knows the other lists', () => {
    const sizes = Object.fromEntries(others.map((list) => [list.area, list.features.size]));
    expect(sizes).toEqual({
      'Failure signatures': 120,
      Gotchas: 44,
      Lessons: 70,
      Scenarios: 32,
    });
  });
});

describe('npm run features', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'features-test-'));
    const source = "it('one [SE-10, TR-02]', f); it('signature [D-001]', f);";
    writeFileSync(path.join(folder, 'a.test.ts'), source);
    writeFileSync(path.join(folder, 'helper.ts'), "it('not a test file [SE-11]', f);");
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (...args: string[]): { readonly code: number; readonly text: string } => {
    const lines: string[] = [];
    const code = runFeatures(args, folder, (line) => lines.push(line));
    return { code, text: lines.join('\n') };
  };

  it('counts features apart from the other lists', () => {
    const { code, text } = run('--json');
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ proven: 2, total: 431, unknown: [] });
    expect(run().text).toMatch(/^Sessions +1\/29 #$/m);
    expect(run().text).toMatch(/^Features +2\/431$/m);
    expect(run().text).toMatch(/^Failure signatures +1\/120$/m);
  });

  it('lists what is missing of an area, by name or prefix', () => {
    expect(run('--missing', 'tr').text).not.toContain('TR-02');
    expect(run('--missing', 'Transcripts')).toEqual(run('--missing', 'tr'));
    expect(run('--missing', 'Transcripts').text.split('\n')).toHaveLength(8);
    expect(run('--missing', 'nowhere')).toMatchObject({ code: 1 });
  });

  it('fails on an id that nobody knows, and says where it stands', () => {
    writeFileSync(path.join(folder, 'b.test.ts'), "it('typo [SE-99]', f);");
    const { code, text } = run();
    expect(code).toBe(1);
    expect(text).toContain('unknown id SE-99 in b.test.ts');
    expect(run('--json').code).toBe(1);
  });
});
