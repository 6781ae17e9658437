import { parse } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import { RefusedEdit } from '../../../src/cli/clients/entry.ts';
import { editJson } from '../../../src/cli/clients/json.ts';
import { fc } from '../../support/property.ts';

const ENTRY = { command: 'npx', args: ['-y', 'gpu-lease'] };
const ADD = { container: 'mcpServers', name: 'gpu-lease', entry: ENTRY };
const REMOVE = { container: 'mcpServers', name: 'gpu-lease' };

describe('editJson', () => {
  it('keeps comments, trailing commas and layout', () => {
    const text = `{
    // my servers
    "mcpServers": {
        "other": { "command": "x" }, /* keep */
    },
    "theme": "dark",
}
`;
    const added = editJson(text, ADD, true);
    expect(added).toContain('// my servers');
    expect(added).toContain('/* keep */');
    expect(added).toContain('        "gpu-lease": {');
    expect(parse(added)).toEqual({
      mcpServers: { other: { command: 'x' }, 'gpu-lease': ENTRY },
      theme: 'dark',
    });
    expect(parse(editJson(added, REMOVE, true))).toEqual(parse(text));
  });

  it('keeps Windows line ends and tabs', () => {
    const added = editJson('{\r\n\t"a": 1\r\n}\r\n', ADD, false);
    expect(added.split('\r\n').join('')).not.toContain('\n');
    expect(added).toContain('\r\n\t"mcpServers"');
  });

  it.each(['', '  \n', '{}', '\ufeff{}'])('makes settings out of nothing: %j', (text) => {
    expect(JSON.parse(editJson(text, ADD, false))).toEqual({ mcpServers: { 'gpu-lease': ENTRY } });
  });

  it('drops a byte order mark, which strict parsers refuse', () => {
    const added = editJson('\ufeff{"a": 1}', ADD, false);
    expect(JSON.parse(added)).toMatchObject({ a: 1 });
  });

  it('updates the command and keeps what the person added to the entry', () => {
    const text = JSON.stringify({
      mcpServers: { 'gpu-lease': { command: 'old', args: [], env: { A: '1' }, timeout: 9 } },
    });
    const updated: unknown = JSON.parse(editJson(text, ADD, false));
    expect(updated).toEqual({
      mcpServers: { 'gpu-lease': { ...ENTRY, env: { A: '1' }, timeout: 9 } },
    });
  });

  it('changes nothing the second time', () => {
    const once = editJson('{ "a": 1 }', ADD, false);
    expect(editJson(once, ADD, false)).toBe(once);
    expect(editJson('{ "a": 1 }', REMOVE, false)).toBe('{ "a": 1 }');
  });

  it.each([
    ['broken', '{ "a": ', true],
    ['a comment where the client knows none', '{ /* no */ }', false],
    ['a trailing comma where the client knows none', '{ "a": 1, }', false],
    ['a list', '[]', true],
    ['a word', '"mcpServers"', true],
    ['a container that is a list', '{ "mcpServers": [] }', true],
    ['an entry that is a word', '{ "mcpServers": { "gpu-lease": "x" } }', true],
    ['two containers', '{ "mcpServers": {}, "mcpServers": {} }', true],
    [
      'two entries of our name',
      '{ "mcpServers": { "gpu-lease": {}, "gpu-lease": { "command": "x" } } }',
      true,
    ],
    ['two documents', '{} {}', true],
  ])('refuses %s', (_what, text, comments) => {
    expect(() => editJson(text, ADD, comments)).toThrow(RefusedEdit);
  });

  it('keeps a setting called __proto__ as it is', () => {
    const text = '{"a": {"__proto__": [1]}, "mcpServers": {"b": {"__proto__": {"c": 1}}}}';
    const added = editJson(text, ADD, false);
    const packed = added.replaceAll(/\s/g, '');
    expect(packed).toContain('"a":{"__proto__":[1]}');
    expect(packed).toContain('"b":{"__proto__":{"c":1}}');
    expect(editJson(added, REMOVE, false)).not.toContain('gpu-lease');
  });

  it('never changes another setting, whatever the settings are', () => {
    const settings = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__' && key !== 'mcpServers'),
      fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown),
    );
    fc.assert(
      fc.property(settings, settings, fc.boolean(), (rest, others, present) => {
        fc.pre(!('gpu-lease' in others));
        const before = present ? { ...rest, mcpServers: others } : rest;
        const added = editJson(JSON.stringify(before, null, 2), ADD, false);
        expect(JSON.parse(added)).toEqual({
          ...rest,
          mcpServers: { ...(present ? others : {}), 'gpu-lease': ENTRY },
        });
        const removed: unknown = JSON.parse(editJson(added, REMOVE, false));
        const hasOthers = present && Object.keys(others).length > 0;
        const kept = Object.fromEntries(
          Object.entries(rest).filter(([key]) => key !== 'mcpServers'),
        );
        expect(removed).toEqual(hasOthers ? { ...rest, mcpServers: others } : kept);
      }),
      { numRuns: 150 },
    );
  });
});
