import ignore, { type Ignore } from 'ignore';
import picomatch from 'picomatch';

/** Never wanted on a pod, at any depth. `include` can bring one back by naming it. */
export const DEFAULT_EXCLUDES: readonly string[] = [
  '.git',
  '.hg',
  '.svn',
  'node_modules',
  '__pycache__',
  '.venv',
  'venv',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '.ipynb_checkpoints',
  '.tox',
  '.cache',
  '.gpu-lease',
  '.claude',
  '.cursor',
  '.codex',
  '.DS_Store',
  'wandb',
];
const DEFAULTS = new Set(DEFAULT_EXCLUDES);
/** The folder beside a destination in which a fetch that was cut off waits to go on: its files have holes. */
const UNFINISHED = /\.partial-[0-9a-f]{12}(?:-\d{1,10}-[0-9a-f]{8}-\w+)?$/;
const UNFINISHED_WHY = 'unfinished fetch';

export interface Rules {
  /** A `.gitignore` found while walking; `folder` is relative to the root, '' for the root itself. */
  addGitignore(folder: string, text: string): void;
  /** Why a file or folder is not sent; undefined when it is. A folder that may hold an included file is entered. */
  whyNot(relative: string, isFolder: boolean): string | undefined;
  /** Include patterns that no file has matched so far. */
  unusedIncludes(): readonly string[];
}

/**
 * What of a tree is sent. `include` narrows to what matches and brings back what .gitignore skips; `exclude` beats it.
 * Patterns are globs on the path below the root; one without a slash matches at any depth; one that names a folder
 * covers all below it.
 */
export function createRules(options: {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}): Rules {
  const gitignores = new Map<string, Ignore>();
  const excluded = options.exclude.map(matcher);
  const included = options.include.map((pattern) => ({
    pattern,
    matches: matcher(pattern),
    base: picomatch.scan(clean(pattern)).base,
    words: new Set(clean(pattern).split('/')),
    anyDepth: !clean(pattern).includes('/') || clean(pattern).startsWith('**'),
    used: false,
  }));

  const gitignored = (relative: string, isFolder: boolean): boolean => {
    if (gitignores.size === 0) return false;
    let ignored = false;
    // Parents first: a deeper file speaks last, as in git.
    for (const folder of ancestors(relative)) {
      const rules = gitignores.get(folder);
      if (rules === undefined) continue;
      const below = folder === '' ? relative : relative.slice(folder.length + 1);
      const verdict = rules.test(isFolder ? `${below}/` : below);
      if (verdict.ignored) ignored = true;
      else if (verdict.unignored) ignored = false;
    }
    return ignored;
  };

  // Of one folder many names are asked after each other.
  let lastAbove = '';
  let lastDefault: string | undefined;
  const defaultAbove = (above: string): string | undefined => {
    if (above !== lastAbove) {
      lastAbove = above;
      lastDefault = undefined;
      for (const part of above.split('/')) lastDefault ??= defaultOf(part);
    }
    return lastDefault;
  };

  return {
    addGitignore(folder, text) {
      gitignores.set(folder, ignore({ ignorecase: false }).add(text));
    },
    whyNot(relative, isFolder) {
      if (excluded.some((matches) => matches(relative))) return 'exclude';
      const name = relative.slice(relative.lastIndexOf('/') + 1);
      const byDefault = defaultAbove(relative.slice(0, -name.length - 1)) ?? defaultOf(name);
      if (included.length > 0) {
        const hits = included.filter((rule) =>
          isFolder ? mayHold(rule, relative) : rule.matches(relative),
        );
        const allowed = hits.filter((rule) => byDefault === undefined || rule.words.has(byDefault));
        if (!isFolder) for (const rule of allowed) rule.used = true;
        if (allowed.length > 0) return undefined;
        return hits.length > 0 ? `default: ${byDefault ?? name}` : 'not in include';
      }
      if (byDefault !== undefined) return `default: ${byDefault}`;
      if (gitignored(relative, isFolder)) return '.gitignore';
      return undefined;
    },
    unusedIncludes: () => included.filter(({ used }) => !used).map(({ pattern }) => pattern),
  };
}

function defaultOf(name: string): string | undefined {
  if (DEFAULTS.has(name)) return name;
  return UNFINISHED.test(name) ? UNFINISHED_WHY : undefined;
}

/** A glob over relative paths with our rules; shared by sync and fetch. */
export function matcher(pattern: string): (relative: string) => boolean {
  const text = clean(pattern);
  const options = { dot: true, nonegate: true, strictSlashes: false };
  const whole = picomatch([text, `${text}/**`], options);
  if (text.includes('/')) return (relative) => relative === text || whole(relative);
  const anyDepth = picomatch([`**/${text}`, `**/${text}/**`], options);
  return (relative) => relative === text || whole(relative) || anyDepth(relative);
}

/** Whether a pattern is more than a plain path. */
export function isGlob(pattern: string): boolean {
  return picomatch.scan(clean(pattern)).isGlob;
}

function mayHold(
  rule: {
    readonly matches: (relative: string) => boolean;
    readonly base: string;
    readonly anyDepth: boolean;
  },
  folder: string,
): boolean {
  return (
    rule.anyDepth ||
    rule.base === '' ||
    rule.base === folder ||
    rule.base.startsWith(`${folder}/`) ||
    folder.startsWith(`${rule.base}/`) ||
    rule.matches(folder)
  );
}

function clean(pattern: string): string {
  return pattern.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '');
}

function ancestors(relative: string): readonly string[] {
  const folders = [''];
  for (let at = relative.indexOf('/'); at >= 0; at = relative.indexOf('/', at + 1))
    folders.push(relative.slice(0, at));
  return folders;
}
