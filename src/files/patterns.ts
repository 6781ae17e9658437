import path from 'node:path';
import picomatch from 'picomatch';
import { InputError } from '../core/errors.ts';
import type { RemoteEntry } from './pod-listing.ts';
import { isBelow, isPlainRelative } from './remote-target.ts';
import { isGlob, matcher } from './rules.ts';

/**
 * A path or glob below `root`, relative and plain. `.` (or '') is everything. An absolute path must be below the root.
 * Throws `invalid_input` for what leaves it.
 */
export function relativePattern(root: string, pattern: string): string {
  if (pattern.includes('\0')) throw new InputError('invalid_input', 'A path holds NUL.');
  if (pattern.startsWith('~')) throw outside(pattern);
  const absolute = path.posix.resolve(root, pattern === '' ? '.' : pattern);
  if (!isBelow(root, absolute)) throw outside(pattern);
  const relative = path.posix.relative(root, absolute);
  if (relative !== '' && !isPlainRelative(relative)) throw outside(pattern);
  return relative;
}

/** Where to list so that every match of the patterns is seen; no start is below another. */
export function startsOf(patterns: readonly string[]): readonly string[] {
  const bases = patterns.map((pattern) => {
    if (!isGlob(pattern)) return pattern;
    const { base } = picomatch.scan(pattern);
    return base === '.' ? '' : base.replaceAll(/\\(.)/g, '$1');
  });
  const unique = [...new Set(bases)];
  if (unique.includes('')) return [''];
  return unique.filter((base) => !unique.some((other) => other !== base && isBelow(other, base)));
}

/** A plain path names itself and, when it is a folder, all below it; a glob names what it matches below the root. */
export function selects(pattern: string): (relative: string) => boolean {
  if (pattern === '') return () => true;
  const literal = (relative: string): boolean => isBelow(pattern, relative);
  if (!isGlob(pattern)) return literal;
  const match = picomatch([pattern, `${pattern}/**`], { dot: true, nonegate: true });
  return (relative) => literal(relative) || match(relative);
}

export interface Selection {
  readonly files: readonly RemoteEntry[];
  /** Matched, but not regular files. */
  readonly odd: readonly RemoteEntry[];
  readonly missing: readonly string[];
}

export function select(
  entries: readonly RemoteEntry[],
  patterns: readonly string[],
  exclude: readonly string[],
): Selection {
  const excluded = exclude.map(matcher);
  const kept = entries.filter(({ path: name }) => !excluded.some((matches) => matches(name)));
  const wanted = patterns.map((pattern) => ({ pattern, matches: selects(pattern) }));
  const chosen = kept.filter(
    (entry) =>
      wanted.some(({ matches }) => matches(entry.path)) || hidden(entry, patterns).length > 0,
  );
  const files = chosen.filter(({ kind }) => kind === 'file');
  return {
    files,
    odd: chosen.filter(({ kind }) => kind !== 'file'),
    missing: missingAmong(files, patterns),
  };
}

/** The patterns that ask for something below a folder which may not be entered: whether it is there cannot be seen. */
export function hidden(
  { kind, path: name }: RemoteEntry,
  patterns: readonly string[],
): readonly string[] {
  if (kind !== 'unreadable') return [];
  return patterns.filter((pattern) => startsOf([pattern]).some((start) => isBelow(name, start)));
}

/** The patterns that none of the files answers. */
export function missingAmong(
  files: readonly { readonly path: string }[],
  patterns: readonly string[],
): readonly string[] {
  return patterns
    .filter((pattern) => {
      const matches = selects(pattern);
      return !files.some((file) => matches(file.path));
    })
    .map((pattern) => (pattern === '' ? '.' : pattern));
}

function outside(pattern: string): InputError {
  return new InputError(
    'invalid_input',
    `${JSON.stringify(pattern)} is not below the folder that is fetched from.`,
    { hint: 'Use paths relative to the job folder or the work folder of the pod.' },
  );
}
