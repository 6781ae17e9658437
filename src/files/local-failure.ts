import { type AppError, InputError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { isGone } from './open-local.ts';

const FULL = ['ENOSPC', 'EDQUOT'];
const FORBIDDEN = ['EACCES', 'EPERM', 'EROFS'];
const IN_THE_WAY = ['EISDIR', 'ENOTDIR', 'EEXIST', 'ENOTEMPTY', 'ELOOP', 'ENOENT'];

/** What a failure of this machine's file system means for the caller; undefined for anything else. */
export function localFailure(thrown: unknown): AppError | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string')
    return undefined;
  const { code } = thrown;
  const cause = thrown;
  if (FULL.includes(code))
    return new RemoteError(
      'disk_full',
      'This machine ran out of space; the pod still has it all.',
      {
        cause,
        hint: 'Free some space here, then call again with the same localPath: it goes on where it stopped.',
      },
    );
  if (code === 'EFBIG' || code === 'ENAMETOOLONG')
    return new InputError('invalid_input', 'A file or its path is too long for this machine.', {
      cause,
      hint: 'Choose a shorter localPath, or rename it on the pod.',
    });
  if (FORBIDDEN.includes(code))
    return new InputError('invalid_input', 'This machine does not let us write below localPath.', {
      cause,
      hint: 'Make it writable, or choose another localPath.',
      ...placeIn(cause),
    });
  if (IN_THE_WAY.includes(code))
    return new InputError(
      'invalid_input',
      'Below localPath something changed while files were landing. Those that landed are whole.',
      {
        cause,
        hint: 'Call again when nothing else writes there, or choose an empty localPath.',
        ...placeIn(cause),
      },
    );
  return undefined;
}

/** Below localPath names are the pod's. */
function placeIn(failure: Error): { readonly foreignText?: string } {
  return 'path' in failure && typeof failure.path === 'string'
    ? { foreignText: quoteForeign(failure.path) }
    : {};
}

/** Runs local file work; what it throws is typed where it can be. */
export async function withLocalFailures<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    throw localFailure(thrown) ?? thrown;
  }
}

/**
 * Throws on what broke the reading of files that were being sent: by name, as what a second call makes good. What may not
 * be read is thrown as it is.
 */
export function throwUnsent(broken: unknown): never {
  const code = broken instanceof Error && 'code' in broken ? broken.code : undefined;
  if (typeof code === 'string' && FORBIDDEN.includes(code)) throw broken;
  const name = nameIn(broken) ?? 'A local file';
  const what = code === 'ENOENT' ? 'vanished' : 'changed or could not be read';
  throw new RemoteError('checksum_mismatch', `${name} ${what} while it was being sent.`, {
    cause: broken,
    hint: 'Call again when the files no longer change, or exclude it.',
  });
}

/** The file of this machine that a failure of its file system is about. */
function nameIn(failure: unknown): string | undefined {
  if (!(failure instanceof Error) || !('path' in failure)) return undefined;
  return typeof failure.path === 'string' ? JSON.stringify(failure.path) : undefined;
}

/** Throws on what a sync threw: a file or folder of this machine that it may not read, or that is gone, by its name. */
export function throwUnreadable(thrown: unknown): never {
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string')
    throw thrown;
  if (isGone(thrown)) throwUnsent(thrown);
  if (!FORBIDDEN.includes(thrown.code)) throw thrown;
  const name = nameIn(thrown) ?? 'a file';
  throw new InputError('invalid_input', `This machine does not let us read ${name}.`, {
    cause: thrown,
    hint: 'Make it readable for the user who runs this server, or exclude it.',
  });
}
