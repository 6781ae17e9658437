import { createHash } from 'node:crypto';
import { batches, dotted } from './pod-names.ts';

/** One name as a pod listed it. */
export interface Listed {
  readonly isFile: boolean;
  readonly isFolder: boolean;
  readonly executable: boolean;
  readonly bytes: number;
  /** Equal only while it is the same file with the same content: mode, size, both times, inode. */
  readonly stamp: string;
  readonly modified: string;
  /** By the clock of the pod's file system: no program sets it. Infinity where it was not told. */
  readonly changedSeconds: number;
}
export interface TreeListing {
  readonly entries: ReadonlyMap<string, Listed>;
  /** sha256 of what the pod printed: equal as long as nothing there changed. Empty: unknown. */
  readonly digest: string;
  /** Absent where nobody knows all that it would have printed. */
  readonly printed?: Printed;
  /** The names that it speaks of, where it does not speak of all: of these, what is not in `entries` is not there. */
  readonly only?: ReadonlySet<string>;
}
/** All that a pod printed of a tree; or of each folder, in the order in which they were asked for, in latin1. */
export type Printed = Buffer | ReadonlyMap<string, string>;

/** It is there, and that is all that is known. */
export const UNTOLD: Listed = {
  isFile: true,
  isFolder: false,
  executable: false,
  bytes: -1,
  stamp: '',
  modified: '',
  changedSeconds: Infinity,
};
/** Up to here every file is asked for by name; above, whole folders are listed. */
const MOST_NAMES = 500;
const NONE = Buffer.from('none');
/** A program's start costs as much as many names. */
const LISTED_AT_ONCE = 1500;

const INSIDE = '-mindepth 1 -maxdepth 1';
const PRINTED = "-printf '%y %m %s %T@ %C@ %i %p\\0'";

/** Whether whole folders are listed, so that the names of the files do not matter. */
export function listsFolders(files: readonly string[]): boolean {
  return files.length > MOST_NAMES;
}

/**
 * Shell functions: `A` lists those of `files` and `folders` that exist below the current folder, never following a link.
 * GNU find where it is, else stat, else nothing is known of any. For `parseTree`.
 */
export function treeLines(files: readonly string[], folders: readonly string[]): readonly string[] {
  const { any, all } = treeParts(files, folders);
  return [...any, ...all];
}

/** The pieces of `treeLines`: `all` is `A`, which needs one of the others; `find` is for where GNU find is known to be, so that nobody asks. */
export function treeParts(
  files: readonly string[],
  folders: readonly string[],
): Readonly<Record<'find' | 'any' | 'all', readonly string[]>> {
  const byName = !listsFolders(files);
  const words = byName ? [...folders, ...files] : ['', ...folders];
  const find = [`l() { find "$@" ${byName ? '-maxdepth 0' : INSIDE} ${PRINTED} 2>/dev/null; }`];
  const any = [
    `if find /dev/null -printf '' >/dev/null 2>&1; then`,
    ...find,
    'else',
    `e() { printf 'B%s\\0' "$(stat -c '%f %s %i %y|%z' -- "$@" 2>/dev/null)"; printf '%s\\0' "$@" E; }`,
    byName
      ? 'l() { for f do shift; if [ -e "$f" ] || [ -h "$f" ]; then set -- "$@" "$f"; fi; done; [ $# -eq 0 ] || e "$@"; }'
      : [
          'g() { if [ -e "$1" ] || [ -h "$1" ]; then e "$@"; fi; }',
          'l() { for d do if [ -d "$d" ]; then g "$d"/*; g "$d"/.[!.]*; g "$d"/..?*; fi; done; }',
        ].join('\n'),
    'fi',
  ];
  return { find, any, all: listAll(words) };
}

/** Whether the last listing was one of GNU find. */
export function isOfFind(known: ReadonlyMap<string, Listed> | undefined): boolean {
  for (const { stamp } of known?.values() ?? []) return stamp !== '' && !stamp.includes('|');
  return false;
}

/** `A` lists what these folders hold, '' being the current one. Only where GNU find is known to be. */
export function folderLines(folders: readonly string[]): readonly string[] {
  return [`l() { find "$@" ${INSIDE} ${PRINTED} 2>/dev/null; }`, ...listAll(folders)];
}

function listAll(words: readonly string[]): readonly string[] {
  const dots = words.map((word) => (word === '' ? '.' : dotted(word)));
  return ['A() {', ':', ...batches('l', dots, LISTED_AT_ONCE), ':; }'];
}

const NO_NAMES: ReadonlyMap<string, Listed> = new Map();

/**
 * What `A` printed. Names that are not UTF-8, or come twice, are left out: nothing is known of them. A name that is as it
 * was in `known` is the same object again.
 */
export function parseTree(
  output: Buffer,
  known: ReadonlyMap<string, Listed> = NO_NAMES,
): TreeListing {
  const fields = output.toString('utf8').split('\0');
  const entries = new Map<string, Listed>();
  const twice = new Set<string>();
  const add = (name: string, listed: Listed | undefined): void => {
    if (listed === undefined || name.includes('\uFFFD')) return;
    if (entries.has(name)) twice.add(name);
    entries.set(name, listed);
  };
  for (let at = 0; at < fields.length; at += 1) {
    const field = fields[at] ?? '';
    if (!field.startsWith('B')) {
      const [head, found] = cut(field);
      const name = plain(found);
      const old = known.get(name);
      add(name, old !== undefined && isStill(old, head) ? old : fromFind(head));
      continue;
    }
    const facts = field.slice(1).split('\n');
    const names: string[] = [];
    for (at += 1; at < fields.length && fields[at] !== 'E'; at += 1) names.push(fields[at] ?? '');
    // When a line is missing, nobody knows whose.
    const told = facts.length === names.length;
    for (const [index, name] of names.entries())
      add(plain(name), told ? (fromStat(facts[index] ?? '') ?? UNTOLD) : UNTOLD);
  }
  for (const name of twice) entries.delete(name);
  return { entries, digest: digestOf(output), printed: output };
}

function digestOf(output: Buffer): string {
  // An empty listing says nothing.
  return createHash('sha256')
    .update(output.length === 0 ? NONE : output)
    .digest('hex');
}

function plain(name: string): string {
  return name.startsWith('./') ? name.slice(2) : name;
}

function isStill({ isFile, isFolder, stamp }: Listed, head: string): boolean {
  return (
    head.length === stamp.length + 2 &&
    head.endsWith(stamp) &&
    isFile === head.startsWith('f') &&
    isFolder === head.startsWith('d')
  );
}

/** The six words before the name. */
function cut(record: string): readonly [string, string] {
  let at = 0;
  for (let words = 0; words < 6; words += 1) at = record.indexOf(' ', at) + 1;
  return [record.slice(0, Math.max(0, at - 1)), record.slice(at)];
}

function fromFind(head: string): Listed | undefined {
  const [kind, mode, size, modified, changed] = head.split(' ');
  if (kind === undefined || mode === undefined || modified === undefined || changed === undefined)
    return undefined;
  return {
    isFile: kind === 'f',
    isFolder: kind === 'd',
    executable: (Number.parseInt(mode, 8) & 0o111) !== 0,
    bytes: Number(size),
    stamp: head.slice(2),
    modified: secondsOnly(modified),
    changedSeconds: toNumber(changed),
  };
}

/** Of `stat -c '%f %s %i %y|%z'` with UTC. */
function fromStat(line: string): Listed | undefined {
  const match = /^([0-9a-f]+) (\d+) \d+ ([^|]+)\|(.+)$/.exec(line);
  if (match?.[1] === undefined || match[3] === undefined || match[4] === undefined)
    return undefined;
  const mode = Number.parseInt(match[1], 16);
  return {
    isFile: (mode & 0o170000) === 0o100000,
    isFolder: (mode & 0o170000) === 0o040000,
    executable: (mode & 0o111) !== 0,
    bytes: Number(match[2]),
    stamp: line,
    modified: secondsOnly(String(secondsOf(match[3]))),
    changedSeconds: secondsOf(match[4]),
  };
}

/** `2026-11-22 20:00:00.123456789 +0000`; some leave out the fraction or the zone. */
export function secondsOf(text: string): number {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(?: \+0000)?$/.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined) return Infinity;
  const whole = Date.parse(`${match[1]}T${match[2]}Z`) / 1000;
  return Number.isNaN(whole) ? Infinity : whole + Number(match[3] ?? 0);
}

function toNumber(text: string): number {
  const seconds = Number(text);
  return Number.isNaN(seconds) ? Infinity : seconds;
}

/** `1700000000.0000000000` and `1700000000` are the same time. */
function secondsOnly(text: string): string {
  return text.replace(/\.0*$/, '');
}
