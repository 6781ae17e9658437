import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PodId } from '../core/ids.ts';
import { randomToken } from '../core/ids.ts';
import { keepNewest, stampBy, stampOf } from './kept.ts';
import type { Listed, Printed } from './tree-listing.ts';

/** What is remembered of one name on a pod. */
export interface Remembered extends Listed {
  /** The pod itself hashed the file while it had this stamp. */
  readonly sha256?: string | undefined;
  /** No later change can leave the stamp as it is. Else the file is hashed again. */
  readonly sure: boolean;
}
export interface SyncState {
  /** The target folder with all links resolved. */
  readonly real: string;
  /** Of the listing that `entries` came from. */
  readonly digest: string;
  /** That listing itself, in the memory of the process that read it. */
  readonly printed?: Printed | undefined;
  readonly entries: ReadonlyMap<string, Remembered>;
  /** The entries before, from which only these names may differ; where that is known. */
  readonly since?:
    | { readonly entries: ReadonlyMap<string, Remembered>; readonly names: ReadonlySet<string> }
    | undefined;
  /** What was there before under names that the last listing did not ask for: they are gone at home. */
  readonly others: ReadonlyMap<string, Remembered>;
}
export interface StateFile {
  load(): Promise<SyncState | undefined>;
  /** Only a memory: one that cannot be written costs time, not correctness. */
  save(state: SyncState): Promise<void>;
}

const VERSION = 'sync-state 4';

/** What a file is known to hold. */
interface Kept {
  readonly key: string;
  readonly state: SyncState;
  /** Of its last piece; undefined when something stands behind it that is none. */
  readonly sum: string | undefined;
  readonly chars: number;
  /** Of these, the first piece. */
  readonly wholeChars: number;
}

/**
 * Remembers, for each pod and target, what the pod hashed. In memory too, as long as no other process wrote the file. A file
 * is a whole state and, behind it, pieces of what changed since: a tree of which little changes is not written whole.
 */
export function createStates(home: string): (podId: PodId, target: string) => StateFile {
  const folder = path.join(home, 'sync-state');
  const kept = new Map<string, Kept>();
  const keep = (file: string, known: Kept | undefined): void => {
    if (known === undefined) kept.delete(file);
    else keepNewest(kept, file, known, MOST_KEPT);
  };

  async function write(file: string, state: SyncState): Promise<Kept | undefined> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = `${file}.${randomToken(8)}`;
    const { text, sum } = formatPiece('', wholeOf(state));
    await writeFile(draft, `${VERSION}\0${text}`, { mode: 0o600 });
    const key = await stampOf(draft);
    await rename(draft, file);
    return key === undefined
      ? undefined
      : { key, state, sum, chars: text.length, wholeChars: text.length };
  }

  /** Undefined when it has to be written whole. */
  async function add(file: string, state: SyncState): Promise<Kept | undefined> {
    const known = kept.get(file);
    if (known?.sum === undefined || known.state.real !== state.real) return undefined;
    if (isMostlyNew(known.state.entries, state.entries)) return undefined;
    const { text, sum } = formatPiece(known.sum, changesOf(known.state, state));
    const chars = known.chars + text.length;
    if (chars > MOST_GROWTH * known.wholeChars) return undefined;
    await using handle = await open(file, constants.O_WRONLY | constants.O_APPEND);
    if (stampBy(await handle.stat({ bigint: true })) !== known.key) return undefined;
    await handle.appendFile(text);
    return { ...known, key: stampBy(await handle.stat({ bigint: true })), state, sum, chars };
  }

  return (podId, target) => {
    const name = createHash('sha256').update(`${podId}\0${target}`).digest('hex').slice(0, 32);
    const file = path.join(folder, name);
    return {
      async load() {
        const key = await stampOf(file);
        if (key === undefined) return undefined;
        const known = kept.get(file);
        if (known?.key === key) return known.state;
        const parsed = parseState(await readFile(file, 'utf8').catch(() => ''));
        keep(file, parsed && { ...parsed, key });
        return parsed?.state;
      },
      async save(state) {
        try {
          keep(file, (await add(file, state).catch(() => undefined)) ?? (await write(file, state)));
        } catch {
          kept.delete(file);
        }
      },
    };
  };
}

/** Up to here it grows by pieces. */
const MOST_GROWTH = 1.5;
const MOST_KEPT = 8;
const OTHER = 'o';
const GONE = 'g';

type Entries = SyncState['entries'];

function isMostlyNew(before: Entries, now: Entries): boolean {
  if (before === now) return false;
  let fresh = 0;
  for (const [name, entry] of now) if (before.get(name) !== entry) fresh += 1;
  return fresh > now.size / 2;
}

/** Most names are as they were the time before. */
const formatted = new WeakMap<Remembered, string>();
const FLAGS = 3;

function formatEntry(name: string, entry: Remembered): string {
  const kind = entry.isFile ? 'f' : entry.isFolder ? 'd' : 'o';
  const flags = `${kind}${entry.executable ? 'x' : '-'}${entry.sure ? 's' : '-'}`;
  return `${flags}\t${entry.sha256 ?? ''}\t${entry.bytes}\t${entry.modified}\t${entry.changedSeconds}\t${entry.stamp}\t${name}`;
}

function lineOf(name: string, entry: Remembered, place: '' | typeof OTHER): string {
  const line = formatted.get(entry) ?? formatEntry(name, entry);
  formatted.set(entry, line);
  return place === '' ? line : `${line.slice(0, FLAGS)}${place}${line.slice(FLAGS)}`;
}

function wholeOf({ real, digest, entries, others }: SyncState): readonly string[] {
  const lines = [real, digest];
  for (const [name, entry] of entries) lines.push(lineOf(name, entry, ''));
  for (const [name, entry] of others) lines.push(lineOf(name, entry, OTHER));
  return lines;
}

function changesOf(before: SyncState, now: SyncState): readonly string[] {
  const lines = [now.real, now.digest];
  const add = (place: '' | typeof OTHER, old: Entries, named: Entries): void => {
    if (old === named) return;
    let same = 0;
    for (const [name, entry] of named) {
      const other = old.get(name);
      if (other !== undefined) same += 1;
      if (other !== entry) lines.push(lineOf(name, entry, place));
    }
    if (same < old.size)
      for (const name of old.keys())
        if (!named.has(name)) lines.push(`${GONE}--${place}\t\t\t\t\t\t${name}`);
  };
  add('', before.entries, now.entries);
  add(OTHER, before.others, now.others);
  return lines;
}

/** `before`: the sum of the piece that it stands behind. */
function formatPiece(
  before: string,
  lines: readonly string[],
): { readonly text: string; readonly sum: string } {
  const body = `${lines.join('\0')}\0`;
  const sum = checksum(before, body);
  return { text: `${sum}\0${body.length}\0${body}`, sum };
}

function checksum(before: string, body: string): string {
  return createHash('sha256').update(before).update(body).digest('hex');
}

/** As much of it as is whole; undefined when not even the first piece is. */
function parseState(text: string): Omit<Kept, 'key'> | undefined {
  if (!text.startsWith(`${VERSION}\0`)) return undefined;
  const entries = new Map<string, Remembered>();
  const others = new Map<string, Remembered>();
  const from = VERSION.length + 1;
  let known: Omit<Kept, 'key'> | undefined;
  for (let at = from; at < text.length; ) {
    const [sum = '', length = ''] = text.slice(at, at + HEAD_CHARS).split('\0', 2);
    const start = at + sum.length + length.length + 2;
    const body = text.slice(start, start + Number(length));
    const isWhole = body.length === Number(length) && body.endsWith('\0');
    if (!isWhole || sum !== checksum(known?.sum ?? '', body))
      return known && { ...known, sum: undefined };
    const [real = '', digest = '', ...lines] = body.slice(0, -1).split('\0');
    for (const line of lines) readLine(line, entries, others);
    at = start + body.length;
    const chars = at - from;
    const wholeChars = known?.wholeChars ?? chars;
    known = { state: { real, digest, entries, others }, sum, chars, wholeChars };
  }
  return known;
}

/** Of a sum and a length, at least. */
const HEAD_CHARS = 90;

function readLine(
  line: string,
  entries: Map<string, Remembered>,
  others: Map<string, Remembered>,
): void {
  const [flags = '', sha256 = '', bytes = '', modified = '', changed = '', stamp = ''] = line.split(
    '\t',
    6,
  );
  const words = [flags, sha256, bytes, modified, changed, stamp];
  const name = line.slice(words.reduce((sum, { length }) => sum + length, words.length));
  const named = flags[3] === OTHER ? others : entries;
  if (flags.startsWith(GONE)) {
    named.delete(name);
    return;
  }
  named.set(name, {
    isFile: flags.startsWith('f'),
    isFolder: flags.startsWith('d'),
    executable: flags[1] === 'x',
    sure: flags[2] === 's',
    ...(sha256 === '' ? {} : { sha256 }),
    bytes: Number(bytes),
    modified,
    changedSeconds: Number(changed),
    stamp,
  });
}

/** Whether nothing is different, so that nothing need be written. */
export function isSameState(state: SyncState, other: SyncState | undefined): boolean {
  return state.entries === other?.entries && state.digest === other.digest;
}
