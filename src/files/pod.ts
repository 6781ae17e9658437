import type { CallOptions, Clock } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import type { ExecResult, Remote } from '../core/remote.ts';
import { quoteForeign } from '../core/untrusted.ts';

/** One pod, and how its scripts are run: always through stdin, since a tree's names do not fit in one argument. */
export interface Pod {
  readonly podId: PodId;
  run(script: string, options: { readonly timeoutSeconds: number }): Promise<ExecResult>;
  /** Like `run`, but a non-zero exit throws `remote_failed` or `disk_full`. */
  must(
    script: string,
    options: { readonly timeoutSeconds: number; readonly what: string },
  ): Promise<Buffer>;
  readonly call: CallOptions;
  readonly remote: Remote;
}

const MAX_ANSWER_BYTES = 96 << 20;
/** Hashing on a slow disk; a pod that is slower than this is not worth its price. */
const SLOWEST_BYTES_PER_SECOND = 10e6;
/** A poor home line, upwards. */
const SLOWEST_LINE_BYTES_PER_SECOND = 50e3;
const LONGEST_SECONDS = 12 * 3600;

/** `reading`: every script only looks, so that one whose answer a broken link took is run again. */
export function openPod(
  remote: Remote,
  podId: PodId,
  call: CallOptions,
  reading?: { readonly clock: Clock },
): Pod {
  const run: Pod['run'] = async (script, { timeoutSeconds }) => {
    const once = async (): Promise<ExecResult> =>
      remote.exec(podId, 'LC_ALL=C; export LC_ALL; exec sh -s', {
        ...call,
        timeoutSeconds,
        maxBytes: MAX_ANSWER_BYTES,
        stdin: script,
      });
    const result = await (reading === undefined
      ? once()
      : again(reading.clock, call, ['link_lost'], once));
    if (result.droppedBytes > 0)
      throw new RemoteError('remote_failed', 'The folder on the pod holds too many files.', {
        hint: 'Name a smaller folder or exact paths.',
      });
    return result;
  };
  return {
    podId,
    remote,
    call,
    run,
    async must(script, { timeoutSeconds, what }) {
      const result = await run(script, { timeoutSeconds });
      if (result.exitCode !== 0) throw failed(what, result.exitCode, result.stderr);
      return result.stdout;
    },
  };
}

const ATTEMPTS = 3;
const RETRY_SECONDS = 2;

/** Repeats what fails with one of the codes, a few times. */
export async function again<T>(
  clock: Clock,
  call: CallOptions,
  codes: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await work();
    } catch (thrown) {
      if (!isAppError(thrown) || !codes.includes(thrown.code) || attempt === ATTEMPTS) throw thrown;
      await clock.sleep(RETRY_SECONDS * attempt, call);
    }
}

export function failed(what: string, exitCode: number, stderr: Buffer): RemoteError {
  const foreignText = quoteForeign(stderr.toString('utf8'), 600);
  if (/no space left|disk quota exceeded|wrote only \d+ of \d+ bytes/i.test(foreignText))
    return new RemoteError('disk_full', `The pod has no space left: it could not ${what}.`, {
      foreignText,
    });
  if (exitCode === NO_HASH_TOOL)
    return new RemoteError(
      'remote_failed',
      'The pod has no sha256sum, so no copy could be proven.',
      { hint: 'Use an image with coreutils.' },
    );
  return new RemoteError('remote_failed', `The pod could not ${what} (exit code ${exitCode}).`, {
    foreignText,
  });
}

/** Seconds that hashing `bytes` on the pod may take. */
export function hashSeconds(bytes: number): number {
  return Math.ceil(Math.min(LONGEST_SECONDS, 120 + bytes / SLOWEST_BYTES_PER_SECOND));
}

/** Seconds that moving `bytes` over the line may take. */
export function transferSeconds(bytes: number): number {
  return Math.ceil(Math.min(LONGEST_SECONDS, 300 + bytes / SLOWEST_LINE_BYTES_PER_SECOND));
}

export const NO_HASH_TOOL = 41;
/** Defines `H FILE...`: one `sha256  name` line for each file; and `G`, the same until `fastHash` finds a faster program. */
export const HASH_FUNCTION = `
if command -v sha256sum >/dev/null 2>&1; then H() { sha256sum -- "$@"; }
elif command -v shasum >/dev/null 2>&1; then H() { shasum -a 256 -- "$@"; }
else exit ${NO_HASH_TOOL}; fi
G() { H "$@"; }
`;
