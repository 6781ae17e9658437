import { lstatSync } from 'node:fs';
import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import type { SyncRequest } from '../core/files.ts';
import type { FilesDeps } from './deps.ts';
import { createLateHash, type LateHash, mayWait } from './late-hash.ts';
import { type LocalHash, openHashCache } from './local-hash.ts';
import { goneIsNothing } from './open-local.ts';
import { matcher, type Rules } from './rules.ts';
import { secretByName } from './secrets.ts';
import { BIG_BYTES } from './send-big.ts';
import { type PlannedFile, refuseSecrets } from './sync-plan.ts';
import { type LocalFile, localFile, type Walked, walkTree } from './walk.ts';
import type { WalkMemory } from './walk-memory.ts';

export async function walkFolder(
  root: string,
  rules: Rules,
  request: SyncRequest,
  { signal }: CallOptions,
  memory?: WalkMemory,
): Promise<Walked> {
  const allowed = request.allowSecrets.map(matcher);
  return walkTree(
    root,
    rules,
    {
      signal,
      allowSecrets: (relative) => allowed.some((matches) => matches(relative)),
      explicit: () => request.include.length > 0,
      // Which patterns match no file is told of every walk.
      sameRules: request.include.length === 0,
    },
    memory,
  );
}

export function oneFile(local: string, name: string, request: SyncRequest): Walked {
  const file = localFile(local, name);
  if (!lstatSync(local).isFile())
    throw new InputError('unsupported', 'localPath is neither a folder nor a regular file.');
  const own = path.basename(local);
  const allowed = request.allowSecrets.map(matcher);
  const why = secretByName(own);
  const refused = why !== undefined && !allowed.some((matches) => matches(own) || matches(name));
  return {
    files: refused ? [] : [file],
    skipped: [],
    secretNames: refused ? [{ path: own, why }] : [],
  };
}

/** The local side of one sync: what is hashed before anything is sent, and what on its way out. */
export interface Hashing {
  /**
   * All files, in their order; those that `mayWait` lets wait without a hash, and all that are left when it is told what the
   * pod has. Throws `secret_refused`.
   */
  ahead(
    mayBeThere: (path: string) => boolean,
    isTold: () => boolean,
  ): Promise<readonly PlannedFile[]>;
  /** Whether it is one of those that are large enough to be compared block by block while they are sent. */
  readonly readsAsSent: (file: LocalFile) => boolean;
  /** Now those that the pod has after all, and those that are too few to wait. */
  present(
    files: readonly PlannedFile[],
    isThere: (path: string) => boolean,
  ): Promise<readonly PlannedFile[]>;
  /** For the rest. */
  late(files: readonly PlannedFile[]): LateHash;
  /** Of a file that changed while it was sent: as it was at one moment since; undefined when it is gone. */
  again(file: LocalFile): Promise<PlannedFile | undefined>;
  warnings(): readonly string[];
  save(): Promise<void>;
}

/** The files that the last sync with the same rules found, and their hashes in the same order; only where nothing is to be said. */
export interface Hashed {
  files: readonly LocalFile[];
  planned: readonly (PlannedFile | undefined)[];
  /** The same when none is missing. */
  whole?: readonly PlannedFile[] | undefined;
}

/** A file that is the same object as in `last` is not asked for again; `last` is brought up to date. */
export async function hashLocal(
  deps: FilesDeps,
  root: string,
  walked: Walked,
  request: SyncRequest,
  { signal }: CallOptions,
  last: Hashed = { files: [], planned: [] },
): Promise<Hashing> {
  const cache = await openHashCache({ home: deps.home, root, clock: deps.clock });
  const allowed = request.allowSecrets.map(matcher);
  const warnings: string[] = [];
  const isAllowed = (file: LocalFile): boolean => {
    const names = [file.path, path.basename(file.absolute)];
    return allowed.some((matches) => names.some(matches));
  };
  const warn = (file: LocalFile, { crlf }: LocalHash): void => {
    if (crlf) warnings.push(`${file.path}: Windows line ends; sh on the pod will stumble.`);
  };

  /** Of each file: itself with its hash; as it is when it waits. One that went meanwhile is left out. */
  async function hashed(
    files: readonly (LocalFile & { readonly sha256?: string })[],
    waits: (file: LocalFile) => boolean,
    mayBeThere: (path: string) => boolean,
  ): Promise<readonly PlannedFile[]> {
    const done: PlannedFile[] = [];
    const found: Parameters<typeof refuseSecrets>[1][number][] = [];
    for (const file of files) {
      if (isHashed(file)) {
        done.push(file);
        continue;
      }
      const known = cache.known(file);
      if (known === undefined && waits(file)) {
        done.push({ ...file, sha256: '' });
        continue;
      }
      const hash =
        known ?? (await cache.hash(file, signal, mayBeThere(file.path)).catch(goneIsNothing));
      // It went between the listing and the reading: as if it had gone a moment earlier.
      if (hash === undefined) continue;
      if (hash.secret !== undefined && !isAllowed(file)) found.push([file, hash]);
      warn(file, hash);
      done.push({ ...file, sha256: hash.sha256 });
    }
    refuseSecrets(walked.secretNames, found);
    return done;
  }

  const { files } = walked;
  let saving: Promise<void> | undefined;
  /** Each with its hash where that is known and holds nothing to tell of. */
  function reused(): readonly (PlannedFile | undefined)[] {
    if (last.files === files && last.whole !== undefined) return last.whole;
    const planned = files.map((file, index) => {
      const before = last.files[index] === file ? last.planned[index] : undefined;
      if (before !== undefined) return before;
      const entry = cache.known(file);
      return entry === undefined || entry.crlf || entry.secret !== undefined
        ? undefined
        : { ...file, sha256: entry.sha256 };
    });
    last.files = files;
    last.planned = planned;
    last.whole = planned.every((file) => file !== undefined) ? planned : undefined;
    return planned;
  }
  const readsAsSent = (file: LocalFile): boolean =>
    !request.dryRun && file.bytes >= BIG_BYTES && cache.known(file) === undefined;

  const whatWaits = (some: readonly LocalFile[]): ReadonlySet<string> =>
    new Set(
      request.dryRun
        ? []
        : [...mayWait(some), ...some.filter(readsAsSent)].map((file) => file.path),
    );

  return {
    readsAsSent,
    async ahead(mayBeThere, isTold) {
      const planned = reused();
      if (last.whole !== undefined && walked.secretNames.length === 0) return last.whole;
      const unknown = files.filter(
        (file, index) =>
          planned[index] === undefined && !mayBeThere(file.path) && cache.known(file) === undefined,
      );
      const waiting = whatWaits(unknown);
      return hashed(
        files.map((file, index) => planned[index] ?? file),
        (file) => isTold() || waiting.has(file.path) || readsAsSent(file),
        mayBeThere,
      );
    },
    async present(planned, isThere) {
      if (planned === last.whole) return planned;
      const left = planned.filter((file) => file.sha256 === '');
      const waiting = whatWaits(left.filter((file) => !isThere(file.path)));
      if (waiting.size === left.length) return planned;
      return hashed(planned, (file) => waiting.has(file.path), isThere);
    },
    late: (left) =>
      createLateHash({ cache, files: left.filter((f) => f.sha256 === ''), isAllowed, warn }),
    async again(file) {
      // A program that maps a file into its memory changes it without changing its times.
      last.files = [];
      const again = await cache.hashAgain(file, signal);
      if (again?.hash.secret !== undefined && !isAllowed(file))
        refuseSecrets([], [[file, again.hash]], 'It came while files were being sent.');
      return again && { ...again.file, sha256: again.hash.sha256, mayHaveGrown: true };
    },
    warnings: () => warnings.slice(0, 20),
    save: async () => {
      saving ??= cache.save(files).finally(() => {
        saving = undefined;
      });
      return saving;
    },
  };
}

function isHashed(file: LocalFile & { readonly sha256?: string }): file is PlannedFile {
  return (file.sha256 ?? '') !== '';
}

/** Throws `path_missing` for what `include` names and no file is. */
export function refuseUnmatched(rules: Pick<Rules, 'unusedIncludes'>): void {
  const unused = rules.unusedIncludes().slice(0, 5);
  if (unused.length > 0)
    throw new InputError('path_missing', `include matches no file: ${unused.join(', ')}.`);
}

export function nothingToSend(walked: Walked): InputError {
  const why = walked.skipped.slice(0, 5).map(({ path: name, why: rule }) => `${name} (${rule})`);
  return new InputError(
    'path_missing',
    why.length === 0
      ? 'localPath holds no files, so there is nothing to send.'
      : `Every file of localPath is skipped: ${why.join(', ')}.`,
  );
}
