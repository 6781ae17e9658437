import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCatalogue } from '../../../scripts/features/catalogue.ts';
import { citedIds } from '../../../scripts/features/citations.ts';

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
