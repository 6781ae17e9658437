import { parse, stringify } from 'smol-toml';
import {
  checkEdited,
  type Edit,
  entryIn,
  RefusedEdit,
  type Settings,
  settingsSchema,
  wantedEntry,
} from './entry.ts';
import { tomlLines } from './toml-lines.ts';

/**
 * The text of a TOML settings file with our table added, updated or removed; every other line stays as it is. Throws
 * RefusedEdit for what does not parse, or where the entry is written in a form other than a table of its own.
 */
export function editToml(text: string, edit: Edit): string {
  const plain = text.replace(/^\ufeff/, '');
  const before = readToml(plain);
  const wanted = wantedEntry(before, edit);
  const present = entryIn(before, edit);
  if (JSON.stringify(present) === JSON.stringify(wanted)) return plain;
  const rest = present === undefined ? plain : withoutTables(plain, edit);
  const edited = wanted === undefined ? rest : withTable(rest, edit, wanted);
  checkEdited(before, readToml(edited), edit);
  return edited;
}

/** The settings as the owning client understands them. */
export function readToml(text: string): Settings {
  try {
    return settingsSchema.parse(parse(text.replace(/^\ufeff/, '')));
  } catch (thrown) {
    throw new RefusedEdit('It is not valid TOML.', { cause: thrown });
  }
}

function withTable(text: string, edit: Edit, entry: Settings): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const block = stringify({ [edit.container]: { [edit.name]: entry } })
    .trim()
    .split('\n')
    // An empty parent table may stand there already, and saying it twice is an error.
    .filter((line) => line.trim() !== `[${edit.container}]`)
    .join(eol);
  const head = text.trimEnd();
  return head === '' ? `${block}${eol}` : `${head}${eol}${eol}${block}${eol}`;
}

/** Cuts our table and its sub-tables, without the comments that lead over to the next table. */
function withoutTables(text: string, edit: Edit): string {
  const lines = tomlLines(text);
  const kept: string[] = [];
  let inside = false;
  let pending: string[] = [];
  let found = false;
  for (const { text: line, header, significant } of lines) {
    if (header !== undefined) {
      const ours = isOurs(header, edit);
      if (!ours) kept.push(...(inside ? leadOver(pending) : pending));
      pending = [];
      inside = ours;
      found ||= ours;
    }
    if (!inside) kept.push(line);
    else if (significant) pending = [];
    else pending.push(line);
  }
  if (!found) throw new RefusedEdit(`"${edit.name}" is written inline; edit it by hand.`);
  if (inside) kept.push(...pending.filter((line) => line.trim() !== ''));
  return `${kept.join('').trimEnd()}${kept.length === 0 ? '' : '\n'}`;
}

/** Blank lines at the start went with our table; what follows belongs to the next one. */
function leadOver(lines: readonly string[]): readonly string[] {
  const first = lines.findIndex((line) => line.trim() !== '');
  return first === -1 ? [] : lines.slice(first);
}

function isOurs(header: readonly string[], edit: Edit): boolean {
  return header[0] === edit.container && header[1] === edit.name;
}
