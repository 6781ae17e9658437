import { createHash } from 'node:crypto';
import { shellQuote } from '../core/shell-quote.ts';
import { FILE_COST_BYTES, HASHED_AT_ONCE, type HashParts, linesOf, MARKS } from './hash-parts.ts';
import { sentSeconds } from './pack.ts';
import { fastHash } from './pod-hash.ts';
import { batches, dotted, isOdd } from './pod-names.ts';
import { BIG_BYTES } from './send-big.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';

/** Before what is listed of files that did not arrive as sent. */
export const WRONG = 'wrong';

/** One after the other, so that each has about as much to hash; only one when that is little. */
function inGroups(files: readonly PlannedFile[]): readonly (readonly PlannedFile[])[] {
  const cost = files.reduce((sum, { bytes }) => sum + bytes + FILE_COST_BYTES, 0);
  const count = Math.min(MOST_GROUPS, Math.floor(cost / GROUP_BYTES));
  if (count < 2) return [files];
  const groups: PlannedFile[][] = Array.from({ length: count }, () => []);
  let seen = 0;
  for (const file of files) {
    groups[Math.min(count - 1, Math.floor((seen / cost) * count))]?.push(file);
    seen += file.bytes + FILE_COST_BYTES;
  }
  return groups;
}

/** What the pod hashed. */
const GOT = '.gpu-lease-got';
const MOST_GROUPS = 4;
/** From so much on another program is worth its start. */
const GROUP_BYTES = 16 << 20;

/**
 * Shell lines that end the script unless every file is what was sent. `sums` and `parts`: as of `Placing`; what came in parts
 * has been hashed.
 */
export function hashLines({
  files: all,
  sums,
  parts,
}: {
  readonly files: readonly PlannedFile[];
  readonly sums: ReadonlyMap<string, string> | undefined;
  readonly parts: Pick<HashParts, 'has' | 'got' | 'digest' | 'program'> | undefined;
}): readonly string[] {
  const files = parts === undefined ? all : all.filter(({ path }) => !parts.has(path));
  const plain = files.filter((file) => file.bytes < BIG_BYTES && !isOdd(file.path));
  const others = files.filter((file) => file.bytes >= BIG_BYTES || isOdd(file.path));
  const groups = inGroups(plain);
  const aside = groups.slice(0, -1);
  const last = groups.at(-1) ?? [];
  const gotAside = aside.map((_, index) => `${GOT}-${index}`);
  const before = [...(parts?.got() ?? []), ...gotAside];
  const got = before.length === 0 ? GOT : `${GOT}-all`;
  const hashed = (some: readonly PlannedFile[]): readonly string[] =>
    batches(
      'b',
      some.map(({ path }) => dotted(path)),
      HASHED_AT_ONCE,
    );
  const otherLines = others.map(({ sha256 }) => `${sha256}\n`).join('');
  const digests = MARKS.map((mark) => {
    const behind = linesOf(plain, mark) + otherLines;
    return parts?.digest(mark, behind) ?? createHash('sha256').update(behind).digest('hex');
  });
  return [
    ...(parts?.program ?? fastHash(totalBytes(files))),
    'b() { G "$@" </dev/null; }',
    `q() { s=$(G <"$1") && printf '%.64s\\n' "$s"; }`,
    // These came piece by piece, without what tar sets.
    'g() { chmod "$2" "$1"; touch -c -d "@$3" "$1" 2>/dev/null; if [ -n "$4" ]; then cat "$4"; else q "$1"; fi; }',
    // At once, as far as the pod has processors.
    ...aside.flatMap((group, index) => ['{ :', ...hashed(group), `} >${gotAside[index]} &`]),
    '{ :',
    ...hashed(last),
    ...others.map((file) => {
      const word = shellQuote(dotted(file.path));
      if (file.bytes < BIG_BYTES) return `q ${word}`;
      return `g ${word} ${file.executable ? '755' : '644'} ${sentSeconds(file)} ${shellQuote(sums?.get(file.path) ?? '')}`;
    }),
    `} >${GOT}`,
    ...(aside.length === 0 ? [] : ['wait']),
    ...(before.length === 0 ? [] : [`cat ${before.join(' ')} ${GOT} >${got}`]),
    `x=$(H <${got})`,
    `case "\${x%% *}" in ${digests.join('|')}) ;; *) printf '${WRONG}\\0'; cat ${got}; exit 0;; esac`,
  ];
}
