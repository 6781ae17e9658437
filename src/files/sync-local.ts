import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { InputError, RemoteError } from '../core/errors.ts';
import type { SyncRequest } from '../core/files.ts';
import type { FilesDeps } from './deps.ts';
import { openHashCache } from './local-hash.ts';
import { matcher, type Rules } from './rules.ts';
import { secretByName } from './secrets.ts';
import { type PlannedFile, refuseSecrets } from './sync-plan.ts';
import { localFile, type Walked, walkTree } from './walk.ts';

export async function walkFolder(
  root: string,
  rules: Rules,
  request: SyncRequest,
  { signal }: CallOptions,
): Promise<Walked> {
  const allowed = request.allowSecrets.map(matcher);
  return walkTree(root, rules, {
    signal,
    allowSecrets: (relative) => allowed.some((matches) => matches(relative)),
    explicit: () => request.include.length > 0,
  });
}

export function oneFile(local: string, name: string, request: SyncRequest): Walked {
  const file = localFile(local, name);
  if (!file.stats.isFile())
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

export async function hashLocal(
  deps: FilesDeps,
  root: string,
  walked: Walked,
  request: SyncRequest,
  { signal }: CallOptions,
): Promise<{ readonly files: readonly PlannedFile[]; readonly warnings: readonly string[] }> {
  const cache = await openHashCache({ home: deps.home, root, clock: deps.clock });
  const allowed = request.allowSecrets.map(matcher);
  const files: PlannedFile[] = [];
  const found: Parameters<typeof refuseSecrets>[1][number][] = [];
  const warnings: string[] = [];
  for (const file of walked.files) {
    const hash = await cache.hash(file, signal).catch((failure: unknown) => {
      if (isGone(failure)) return undefined;
      throw failure;
    });
    // It went between the listing and the reading: as if it had gone a moment earlier.
    if (hash === undefined) continue;
    const names = [file.path, path.basename(file.absolute)];
    if (hash.secret !== undefined && !allowed.some((matches) => names.some(matches)))
      found.push([file, hash]);
    if (hash.crlf) warnings.push(`${file.path}: Windows line ends; sh on the pod will stumble.`);
    files.push({ ...file, sha256: hash.sha256 });
  }
  await cache.save();
  refuseSecrets(walked.secretNames, found);
  return { files, warnings: warnings.slice(0, 20) };
}

/** A file that went while it was being sent: told as what a second call makes good. Anything else is thrown as it is. */
export function throwVanished(failure: unknown): never {
  if (!isGone(failure)) throw failure;
  throw new RemoteError('checksum_mismatch', 'A local file vanished while it was being sent.', {
    cause: failure,
    hint: 'Call again when the files no longer change.',
  });
}

function isGone(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'ENOENT';
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
