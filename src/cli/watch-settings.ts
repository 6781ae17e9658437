import { open } from 'node:fs/promises';
import { isMissing } from '../core/json-file.ts';
import { UsageError } from './command.ts';
import { shown } from './output.ts';

const LARGEST_BYTES = 1 << 20;
const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/;
/**
 * Values that systemd and a shell read alike: in single quotes anything, in double ones nothing that a shell would expand,
 * without quotes one plain word.
 */
const VALUE = /^(?:'[^']*'|"[^"\\$`]*"|[^\s'"\\$`;&|<>()~]*)$/;

/**
 * The names that a file of settings sets. systemd reads such a file without a shell and passes over what it does not understand,
 * so that a watcher without its key would be the answer: here each line that it would misread is told by its number.
 * Throws UsageError, which never holds a value.
 */
export async function readSettings(file: string): Promise<readonly string[]> {
  const lines = (await textOf(file)).replace(/^\uFEFF/, '').split('\n');
  const names: string[] = [];
  lines.forEach((line, index) => {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) return;
    const wrong = (why: string): UsageError =>
      new UsageError(`--settings: line ${index + 1} of ${shown(file)} ${why}`);
    if (line.includes('\r')) throw wrong('has a carriage return at its end: save it without.');
    if (/^export\s/.test(words))
      throw wrong('begins with "export", which systemd passes over: write NAME=value.');
    const [, name, value = ''] = ASSIGNMENT.exec(words) ?? [];
    if (name === undefined) throw wrong('is not NAME=value (no blanks around the "=").');
    if (!VALUE.test(value))
      throw wrong(
        `(${name}) has a value that is read differently by a shell: put it in single quotes.`,
      );
    names.push(name);
  });
  if (names.length === 0) throw new UsageError(`--settings: ${shown(file)} sets nothing.`);
  return [...new Set(names)];
}

/** A file with keys that others may read is no place for keys. */
async function textOf(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const found = await handle.stat();
    if (!found.isFile() || (found.mode & 0o077) !== 0)
      throw new UsageError(`--settings: ${shown(file)} must be a file of mode 0600 (chmod 600).`);
    if (found.size > LARGEST_BYTES)
      throw new UsageError(`--settings: ${shown(file)} is too large for a file of settings.`);
    return await handle.readFile('utf8');
  } catch (failure) {
    if (isMissing(failure)) throw new UsageError(`--settings: there is no ${shown(file)}.`);
    throw failure;
  }
}
