import { createHash, type Hash } from 'node:crypto';
import { randomToken } from '../core/ids.ts';
import { packText } from './pack.ts';
import { fastHash } from './pod-hash.ts';
import { batches, dotted, isOdd } from './pod-names.ts';
import { BIG_BYTES } from './send-big.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';

/** What comes in parts is hashed while the next part is still on its way. */
export interface HashParts {
  /** All that was asked about: those of each part, in the order in which they are to be sent. */
  readonly groups: readonly (readonly PlannedFile[])[];
  /** Neither small nor plain, or too few to be worth it: hashed when everything is there. */
  readonly rest: readonly PlannedFile[];
  /** A member of the stream, to be sent behind the files of a group, which arrive as `arrived` says. */
  readonly member: (arrived: readonly PlannedFile[]) => Buffer;
  readonly has: (path: string) => boolean;
  /** Shell lines that choose the program; what it prints is one digest with the rest. Undefined: nothing comes in parts. */
  readonly program: readonly string[] | undefined;
  /** Begins the names of these members; those of others that begin with `PART_NAME` are of attempts that were cut off. */
  readonly ours: string;
  /** Shell lines around `unpack`, which end the script with its exit code when it fails. */
  readonly around: (unpack: string) => string;
  /** Files in the staging folder with the lines of each part, in order. */
  readonly got: () => readonly string[];
  /** Of these files together with what stands behind them; `mark` is before each name. */
  readonly digest: (mark: string, behind: string) => string;
}

/** Begins names of our own in the staging folder, which no file of a tree has. */
export const PART_NAME = '.gpu-lease-part-';
/** A program's start takes as long as to hash so much. */
const PART_BYTES = 24 << 20;
/** Where several streams share the parts, the last of them should not be waited for long. */
export const SHARED_PART_BYTES = 6 << 20;
/** To open a file takes as long as to hash so much. */
export const FILE_COST_BYTES = 16 << 10;
/** A start of a program costs as much as hashing several files; their names must fit into one line. */
export const HASHED_AT_ONCE = 1500;
/** sha256sum and openssl differ in what they print before the name. */
export const MARKS = ['  ', ' *'] as const;

export function createHashParts(files: readonly PlannedFile[], partBytes = PART_BYTES): HashParts {
  const { groups, rest } = inParts(files, partBytes);
  const bytes = groups.reduce((sum, some) => sum + totalBytes(some), 0);
  const program = groups.length === 0 ? undefined : fastHash(bytes);
  const names = new Set<string>();
  const sums = new Map<string, Hash>(MARKS.map((mark) => [mark, createHash('sha256')]));
  // A shell of an attempt that was cut off may not have ended yet.
  const ours = `${PART_NAME}${randomToken(8)}-`;
  let count = 0;
  return {
    groups,
    rest,
    program,
    ours,
    around: (unpack) =>
      groups.length === 0 ? `${unpack} || exit $?` : hashWhile(unpack, ours, program ?? []),
    member(arrived) {
      for (const { path } of arrived) names.add(path);
      for (const [mark, sum] of sums) sum.update(linesOf(arrived, mark));
      const words = arrived.map(({ path }) => dotted(path));
      const script = `${batches('b', words, HASHED_AT_ONCE).join('\n')}\n`;
      const name = `./${ours}${count}-${createHash('sha256').update(script).digest('hex')}`;
      count += 1;
      return packText(name, script);
    },
    has: (path) => names.has(path),
    got: () => Array.from({ length: count }, (_, index) => `${ours}${index}.got`),
    digest(mark, behind) {
      const sum = sums.get(mark)?.copy() ?? createHash('sha256');
      return sum.update(behind).digest('hex');
    },
  };
}

/** What is printed of files with these hashes. */
export function linesOf(files: readonly PlannedFile[], mark: string): string {
  return files.map(({ path, sha256 }) => `${sha256}${mark}${dotted(path)}\n`).join('');
}

function inParts(
  files: readonly PlannedFile[],
  partBytes: number,
): Pick<HashParts, 'groups' | 'rest'> {
  const isPlain = ({ path, bytes }: PlannedFile): boolean => bytes < BIG_BYTES && !isOdd(path);
  const plain = files.filter(isPlain);
  const cost = totalBytes(plain) + plain.length * FILE_COST_BYTES;
  const count = Math.floor(cost / partBytes);
  if (count < 2) return { groups: [], rest: files };
  const groups: PlannedFile[][] = Array.from({ length: count }, () => []);
  let seen = 0;
  for (const file of plain) {
    groups[Math.min(count - 1, Math.floor((seen / cost) * count))]?.push(file);
    seen += file.bytes + FILE_COST_BYTES;
  }
  return {
    groups: groups.filter(({ length }) => length > 0),
    rest: plain.length === files.length ? [] : files.filter((file) => !isPlain(file)),
  };
}

const POLL_SECONDS = 0.05;

/** A second shell hashes each part that has arrived, and both share those that are left at the end. */
function hashWhile(unpack: string, ours: string, program: readonly string[]): string {
  return [
    ...program,
    'b() { G "$@" </dev/null; }',
    // Whoever makes the file `mine` hashes that part. One that is not whole yet has another hash than its name.
    'p() { set -C; for f in ./PART*-*; do i=${f#./PART}; i=./PART${i%%-*}',
    'if [ -e "$f" ] && ! [ -e "$i.mine" ] && x=$(H - <"$f") && [ "${x%% *}" = "${f##*-}" ] && { true >"$i.mine"; } 2>/dev/null',
    'then { . "$f"; } >"$i.got"; true >"$i.done"; fi; done; set +C; }',
    // Ends with the shell that unpacks, however that ends.
    `{ while ! [ -e ./PARTend ] && kill -0 $$; do p; sleep ${POLL_SECONDS} || sleep 1 || break; done; } </dev/null >/dev/null 2>&1 & w=$!`,
    `y=0; ${unpack} || y=$?`,
    ': >./PARTend',
    'if [ "$y" != 0 ]; then kill "$w" 2>/dev/null; exit "$y"; fi',
    'p; for f in ./PART*.mine; do [ -e "${f%.mine}.done" ] || wait "$w"; done',
    'kill "$w" 2>/dev/null',
  ]
    .join('\n')
    .replaceAll('PART', ours);
}
