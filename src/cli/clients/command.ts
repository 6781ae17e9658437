import { access } from 'node:fs/promises';
import {
  type Command,
  type CommandContext,
  choice,
  EXIT_FAILED,
  EXIT_OK,
  flag,
  type Option,
  UsageError,
} from '../command.ts';
import { shown } from '../output.ts';
import {
  CLIENTS,
  type Launch,
  launchOf,
  type McpClient,
  type Places,
  SCOPES,
  type Scope,
} from './client.ts';
import type { Installed } from './install.ts';

const NAMES = CLIENTS.map(({ name }) => name).join(', ');
const OPTIONS: Readonly<Record<string, Option>> = {
  scope: { type: 'string', value: 'SCOPE', help: 'user (default) or project (this folder).' },
  'dry-run': { type: 'boolean', help: 'Say what would be done; write nothing.' },
};
const shared = { usage: '[CLIENT...]', positionals: { min: 0, max: CLIENTS.length } };

export const addCommand: Command = {
  ...shared,
  name: 'add',
  summary: 'Write the MCP entry for Claude Code, Cursor, Codex, VS Code, Gemini CLI.',
  details: `Clients: ${NAMES}. Without a name: every one that is found here.\nComments and other settings stay; the old file is kept beside the new one; what cannot be read is not touched.`,
  options: {
    ...OPTIONS,
    print: { type: 'boolean', help: 'Only print the entry, to paste it by hand.' },
  },
  run: async (context: CommandContext) => {
    const launch = launchOf(context, context.platform);
    if (flag(context.values, 'print')) return print(context, launch);
    return edit(context, launch);
  },
};

export const removeCommand: Command = {
  ...shared,
  name: 'remove',
  summary: 'Take the MCP entry out again.',
  details: `Clients: ${NAMES}. Without a name: every one that is found here.`,
  options: OPTIONS,
  run: async (context: CommandContext) => edit(context, undefined),
};

async function edit(context: CommandContext, launch: Launch | undefined): Promise<number> {
  const { editClient } = await import('./install.ts');
  const scope = choice(context.values, 'scope', SCOPES, 'user');
  const places = placesOf(context);
  const results: Installed[] = [];
  const isRemoval = launch === undefined;
  for (const client of await chosen(context, places, isRemoval ? scope : undefined)) {
    const file = client.file(places, scope);
    results.push(await editClient(client, file, launch, flag(context.values, 'dry-run')));
  }
  context.out.value({ results });
  for (const result of results) for (const line of render(result)) context.out.line(line);
  if (launch !== undefined && results.some(({ outcome }) => outcome === 'added'))
    context.out.line('Restart the client (or reload its MCP servers) to see the tools.');
  return results.every(({ outcome }) => outcome !== 'refused') ? EXIT_OK : EXIT_FAILED;
}

async function print(context: CommandContext, launch: Launch): Promise<number> {
  const { snippet } = await import('./install.ts');
  const scope = choice(context.values, 'scope', SCOPES, 'user');
  const places = placesOf(context);
  const clients =
    context.positionals.length === 0 ? CLIENTS : context.positionals.map((name) => byName(name));
  const entries = clients.map((client) => ({
    client: client.name,
    file: client.file(places, scope),
    entry: snippet(client, launch),
  }));
  context.out.value({ entries });
  for (const { client, file, entry } of entries)
    context.out.line(`${context.out.paint('bold', client)}  ${file}\n${entry}\n`);
  return EXIT_OK;
}

/** Those that were named, else those that are found; `removeFrom`: also those that have a settings file there. */
async function chosen(
  context: CommandContext,
  places: Places,
  removeFrom: Scope | undefined,
): Promise<readonly McpClient[]> {
  if (context.positionals.length > 0) return context.positionals.map((name) => byName(name));
  const found: McpClient[] = [];
  for (const client of CLIENTS) {
    const own = removeFrom === undefined ? [] : [client.file(places, removeFrom)];
    if (await anyExists([...client.traces(places), ...own])) found.push(client);
  }
  if (found.length === 0) throw new UsageError(`No client was found here. Name one of: ${NAMES}.`);
  return found;
}

function byName(name: string): McpClient {
  const client = CLIENTS.find(
    (candidate) => candidate.name === name || candidate.aliases.includes(name),
  );
  if (client === undefined)
    throw new UsageError(`"${shown(name, 40)}" is not a client. Choose from: ${NAMES}.`);
  return client;
}

async function anyExists(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (exists) return true;
  }
  return false;
}

function placesOf(context: CommandContext): Places {
  return {
    userHome: context.userHome,
    projectFolder: context.workingFolder,
    platform: context.platform,
    settingsFolder: context.settingsFolder,
  };
}

function render({ client, file, outcome, dryRun, problem, backup }: Installed): readonly string[] {
  const what =
    dryRun && outcome !== 'unchanged' && outcome !== 'refused' ? `would be ${outcome}` : outcome;
  return [
    `${client}: ${what} (${shown(file)})`,
    ...(problem === undefined
      ? []
      : [`  ${shown(problem)} Nothing was written; add --print shows the entry to paste.`]),
    ...(backup === undefined ? [] : [`  The file as it was: ${shown(backup)}`]),
  ];
}
