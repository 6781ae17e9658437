import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse as parseJsonc } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENTS, launchOf } from '../../../src/cli/clients/client.ts';
import { readSettings, writeSettings } from '../../../src/cli/clients/settings-file.ts';
import { runCli } from '../../../src/cli/run.ts';
import { type TestHost, testHost } from './host.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-cli-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const host = (): TestHost =>
  testHost({ userHome: path.join(root, 'home'), workingFolder: path.join(root, 'project') });
const MAIN = '/opt/gpu-lease/dist/main.js';

/** What the owning client reads. */
async function entryOf(name: string, file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8');
  const client = CLIENTS.find((candidate) => candidate.name === name);
  const settings = (client?.dialect === 'toml' ? parseToml(text) : parseJsonc(text)) as Record<
    string,
    Record<string, unknown>
  >;
  return settings[client?.container ?? '']?.['gpu-lease'];
}

describe('add and remove', () => {
  const cases = CLIENTS.flatMap(({ name }) =>
    (['user', 'project'] as const).map((scope) => [name, scope] as const),
  );
  it.each(cases)('%s, scope %s: there, once, and gone again', async (name, scope) => {
    const client = CLIENTS.find((candidate) => candidate.name === name);
    const places = {
      userHome: path.join(root, 'home'),
      projectFolder: path.join(root, 'project'),
      platform: 'linux' as const,
    };
    const file = client?.file(places, scope) ?? '';
    expect(file.startsWith(root)).toBe(true);

    const adding = host();
    expect(await runCli(['add', name, '--scope', scope], adding)).toBe(0);
    expect(adding.written()).toContain(`${name}: added`);
    expect(await entryOf(name, file)).toMatchObject({ command: process.execPath, args: [MAIN] });
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const again = host();
    expect(await runCli(['add', name, '--scope', scope], again)).toBe(0);
    expect(again.written()).toContain(`${name}: unchanged`);

    const removing = host();
    expect(await runCli(['remove', name, '--scope', scope], removing)).toBe(0);
    expect(removing.written()).toContain(`${name}: removed`);
    expect(await entryOf(name, file)).toBeUndefined();
  });

  it('project scope: what was added by name is found again without one', async () => {
    expect(await runCli(['add', 'code', '--scope', 'project'], host())).toBe(0);
    const file = path.join(root, 'project', '.vscode', 'mcp.json');
    expect(await entryOf('vscode', file)).toBeDefined();
    const removing = host();
    expect(await runCli(['remove', '--scope', 'project'], removing)).toBe(0);
    expect(removing.written()).toContain('vscode: removed');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({});
    expect(await readdir(path.dirname(file))).toEqual(['mcp.json']);
  });

  it('knows what people call the clients', async () => {
    const adding = host();
    expect(await runCli(['add', 'claude', 'gemini-cli', '--dry-run'], adding)).toBe(0);
    expect(adding.written()).toMatch(/claude-code: would be added.*gemini: would be added/s);
  });

  it('a dry run writes nothing', async () => {
    const dry = host();
    expect(await runCli(['add', 'cursor', '--dry-run'], dry)).toBe(0);
    expect(dry.written()).toContain('cursor: would be added');
    expect(await readdir(root)).toEqual([]);
  });

  it('a broken file is left alone, and the exit code says so', async () => {
    const file = path.join(root, 'home', '.cursor', 'mcp.json');
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, '{ "mcpServers": {');
    const adding = host();
    expect(await runCli(['add', 'cursor', 'gemini', '--json'], adding)).toBe(1);
    const { results } = JSON.parse(adding.written()) as { results: unknown };
    expect(results).toMatchObject([
      { client: 'cursor', outcome: 'refused' },
      { client: 'gemini', outcome: 'added' },
    ]);
    expect(await readFile(file, 'utf8')).toBe('{ "mcpServers": {');
    expect(await readdir(path.dirname(file))).toEqual(['mcp.json']);
  });

  it('finds the clients that are here, keeps mode and link of the file, and a copy of the old one', async () => {
    const real = path.join(root, 'dotfiles', 'mcp.json');
    const link = path.join(root, 'home', '.cursor', 'mcp.json');
    await mkdir(path.dirname(real));
    await mkdir(path.dirname(link), { recursive: true });
    await writeFile(real, '{ /* mine */ }', { mode: 0o640 });
    await symlink(real, link);
    const adding = host();
    expect(await runCli(['add'], adding)).toBe(0);
    expect(adding.written()).toContain('cursor: added');
    expect(adding.written()).not.toContain('codex');
    expect(await entryOf('cursor', link)).toBeDefined();
    expect((await stat(real)).mode & 0o777).toBe(0o640);
    expect((await readdir(path.dirname(real))).toSorted()).toEqual([
      'mcp.json',
      'mcp.json.gpu-lease-backup',
    ]);
    expect(await readFile(`${real}.gpu-lease-backup`, 'utf8')).toBe('{ /* mine */ }');
  });

  it('refuses to write over what somebody else wrote meanwhile', async () => {
    const file = path.join(root, 'settings.json');
    await writeFile(file, '{}');
    const before = await readSettings(file);
    await writeFile(file, '{ "theirs": 1 }');
    await expect(writeSettings(before, '{ "ours": 1 }')).rejects.toMatchObject({
      code: 'state_unwritable',
    });
    expect(await readFile(file, 'utf8')).toBe('{ "theirs": 1 }');
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('prints entries to paste, for every client', async () => {
    const printing = host();
    expect(await runCli(['add', '--print', '--json'], printing)).toBe(0);
    const { entries } = JSON.parse(printing.written()) as {
      entries: readonly { client: string; entry: string }[];
    };
    expect(entries.map(({ client }) => client)).toEqual(CLIENTS.map(({ name }) => name));
    for (const { entry } of entries) expect(entry).toContain(MAIN);
    expect(await readdir(root)).toEqual([]);
  });

  it.each([[['add', 'emacs']], [['add', 'cursor', '--scope', 'world']], [['add']]])(
    '%j is a wrong command line',
    async (argv) => {
      const asking = host();
      expect(await runCli(argv, asking)).toBe(2);
      expect(asking.complaints()).toMatch(/Usage: gpu-lease add/);
    },
  );
});

describe('launchOf', () => {
  const nodePath = '/usr/bin/node';
  it('starts a clone by absolute paths', () => {
    expect(launchOf({ nodePath, mainPath: '/src/gpu-lease/dist/main.js' }, 'linux')).toEqual({
      command: nodePath,
      args: ['/src/gpu-lease/dist/main.js'],
    });
  });
  it('starts an installed package by its name', () => {
    const mainPath = '/usr/lib/node_modules/gpu-lease/dist/main.js';
    expect(launchOf({ nodePath, mainPath }, 'linux')).toEqual({
      command: 'npx',
      args: ['-y', 'gpu-lease'],
    });
    expect(launchOf({ nodePath, mainPath }, 'win32').command).toBe('cmd');
  });
});
