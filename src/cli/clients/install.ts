import { rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../core/errors.ts';
import { ENTRY_NAME, type Launch, type McpClient } from './client.ts';
import { type Edit, entryIn, RefusedEdit, type Settings, wantedEntry } from './entry.ts';
import { editJson, readJson } from './json.ts';
import { readSettings, writeSettings } from './settings-file.ts';
import { editToml, readToml } from './toml.ts';

export interface Installed {
  readonly client: string;
  readonly file: string;
  readonly outcome: 'added' | 'updated' | 'removed' | 'unchanged' | 'refused';
  readonly dryRun: boolean;
  /** Why it was refused. */
  readonly problem?: string | undefined;
  /** Copy of the file as it was. */
  readonly backup?: string | undefined;
}

/**
 * Adds (with `launch`) or removes (without) our entry in one settings file, then reads the file again and checks that
 * the entry is there, or gone. A file that cannot be edited safely is left alone: outcome `refused`.
 */
export async function editClient(
  client: McpClient,
  file: string,
  launch: Launch | undefined,
  dryRun: boolean,
): Promise<Installed> {
  const answer = { client: client.name, file, dryRun };
  const edit = editOf(client, launch);
  const before = await readSettings(file);
  try {
    const settings = read(client, before.text ?? '');
    const present = entryIn(settings, edit);
    if (isDeepStrictEqual(present, wantedEntry(settings, edit)))
      return { ...answer, outcome: 'unchanged' };
    const edited = apply(client, before.text ?? '', edit);
    const outcome = launch === undefined ? 'removed' : present === undefined ? 'added' : 'updated';
    if (dryRun) return { ...answer, outcome };
    const backup = await writeSettings(before, edited);
    await verify(client, file, edit, wantedEntry(settings, edit));
    // What was taken out was checked above: nothing of ours stays beside the settings.
    if (launch === undefined && backup !== undefined) await rm(backup, { force: true });
    return { ...answer, outcome, ...(launch === undefined ? {} : { backup }) };
  } catch (thrown) {
    if (!(thrown instanceof RefusedEdit)) throw thrown;
    return { ...answer, outcome: 'refused', problem: thrown.message };
  }
}

/** The text to paste by hand: a file of its own with nothing but our entry. */
export function snippet(client: McpClient, launch: Launch): string {
  return apply(client, '', editOf(client, launch)).trimEnd();
}

async function verify(
  client: McpClient,
  file: string,
  edit: Edit,
  wanted: Settings | undefined,
): Promise<void> {
  const { text } = await readSettings(file);
  if (isDeepStrictEqual(entryIn(read(client, text ?? ''), edit), wanted)) return;
  throw new InputError('invalid_input', `${file} does not hold the entry after it was written.`, {
    hint: 'Another program writes to this file. Close it, then run the command again.',
  });
}

function editOf(client: McpClient, launch: Launch | undefined): Edit {
  const entry =
    launch === undefined
      ? undefined
      : { ...client.extra, command: launch.command, args: [...launch.args] };
  return { container: client.container, name: ENTRY_NAME, entry };
}

function read(client: McpClient, text: string): Settings {
  return client.dialect === 'toml'
    ? readToml(text)
    : readJson(text, client.dialect === 'json-with-comments');
}

function apply(client: McpClient, text: string, edit: Edit): string {
  return client.dialect === 'toml'
    ? editToml(text, edit)
    : editJson(text, edit, client.dialect === 'json-with-comments');
}
