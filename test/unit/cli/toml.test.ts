import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { RefusedEdit } from '../../../src/cli/clients/entry.ts';
import { editToml } from '../../../src/cli/clients/toml.ts';

const ENTRY = { command: 'npx', args: ['-y', 'gpu-lease'] };
const ADD = { container: 'mcp_servers', name: 'gpu-lease', entry: ENTRY };
const REMOVE = { container: 'mcp_servers', name: 'gpu-lease' };

const SETTINGS = `# my Codex
model = "gpt"   # the good one
notes = """
[mcp_servers.gpu-lease]
command = "only text"
"""
matrix = [
  [1, 2],
  [3, 4], # [mcp_servers.gpu-lease]
]

[mcp_servers.other] # keep me
command = "x"
args = ['a"b', "]"]

[[profiles]]
name = "one"
`;

describe('editToml', () => {
  it('adds a table and leaves every other line as it is', () => {
    const added = editToml(SETTINGS, ADD);
    expect(added.startsWith(SETTINGS.trimEnd())).toBe(true);
    expect(parse(added)['mcp_servers']).toEqual({
      other: { command: 'x', args: ['a"b', ']'] },
      'gpu-lease': ENTRY,
    });
    expect(editToml(added, ADD)).toBe(added);
    expect(editToml(added, REMOVE)).toBe(SETTINGS);
  });

  it('removes the table from the middle, with its sub-tables, and keeps the comment of the next one', () => {
    const text = `a = 1

[ mcp_servers . "gpu-lease" ]
command = "old"
args = [
  "[x]",
]
# ours
startup_timeout_sec = 9

[mcp_servers.gpu-lease.env]
KEY = "v"

# the next one
[mcp_servers.other]
command = "x"
`;
    expect(editToml(text, REMOVE)).toBe(`a = 1

# the next one
[mcp_servers.other]
command = "x"
`);
  });

  it('updates the command and keeps what the person added to the table', () => {
    const text = `[mcp_servers.gpu-lease]
command = "old"
args = []
startup_timeout_sec = 9
[mcp_servers.gpu-lease.env]
KEY = "v"
[tui]
theme = "dark"
`;
    expect(parse(editToml(text, ADD))).toEqual({
      mcp_servers: { 'gpu-lease': { ...ENTRY, startup_timeout_sec: 9, env: { KEY: 'v' } } },
      tui: { theme: 'dark' },
    });
  });

  it('keeps Windows line ends', () => {
    const added = editToml('a = 1\r\n', ADD);
    expect(added.replaceAll('\r\n', '')).not.toContain('\n');
    expect(parse(added)['mcp_servers']).toEqual({ 'gpu-lease': ENTRY });
  });

  it.each(['', '\ufeff', '\ufeffa = 1\n', '[mcp_servers]\n'])('adds to %j', (text) => {
    expect(parse(editToml(text, ADD))['mcp_servers']).toEqual({ 'gpu-lease': ENTRY });
  });

  it('has nothing to remove from settings without us', () => {
    expect(editToml(SETTINGS, REMOVE)).toBe(SETTINGS);
  });

  it.each([
    ['broken', 'a = '],
    ['a table given twice', '[a]\n[a]\n'],
    ['a container that is a word', 'mcp_servers = "x"\n'],
    ['our entry written inline', 'mcp_servers = { gpu-lease = { command = "x" } }\n'],
    ['our entry in dotted keys', 'mcp_servers.gpu-lease.command = "x"\n'],
    [
      'an inline container, which a table cannot extend',
      'mcp_servers = { b = { command = "x" } }\n',
    ],
  ])('refuses %s', (_what, text) => {
    expect(() => editToml(text, ADD)).toThrow(RefusedEdit);
  });

  it('sees through quotes at the end of multi-line strings', () => {
    const text = `a = """x""""\nb = '''y'''\nc = """\\"""z"""\n[mcp_servers.gpu-lease]\ncommand = "old"\n`;
    expect(editToml(text, REMOVE)).toBe(`a = """x""""\nb = '''y'''\nc = """\\"""z"""\n`);
  });
});
