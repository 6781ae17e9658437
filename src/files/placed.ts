import { count } from '../core/count.ts';
import { InputError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { WRONG } from './place-hash.ts';
import { PLACE_EXIT } from './place-script.ts';
import { failed } from './pod.ts';
import { END_OF_TREE, fieldsOf } from './sync-look.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { TreeListing } from './tree-listing.ts';

/** Of the script that receives and places: it could not unpack; the stream was cut off. */
export const RECEIVE_EXIT = { unpack: 45, cut: 49 } as const;

/** What is in the target once everything is in place. */
export interface After {
  readonly listing: TreeListing;
  /** A time of the pod's file system before which everything was placed, and after which any change shows. */
  readonly fence: string | undefined;
}
export interface Answer {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** What the script of `placeScript` printed; `read` takes its listing. Throws what it means when it did not end well. */
export function readPlaced(
  answer: Answer,
  files: readonly PlannedFile[],
  read: (listing: Buffer) => TreeListing,
): After {
  const { exitCode, stderr, stdout } = answer;
  const fields = fieldsOf(stdout);
  const [verdict, fence = ''] = fields.next(2);
  if (exitCode === PLACE_EXIT.blocked)
    throw new InputError(
      'invalid_input',
      'On the pod a link or a file turned up where this sync needs a folder. Nothing was replaced.',
      { hint: 'Remove or rename it on the pod, or choose another remotePath.' },
    );
  if (exitCode !== 0 && exitCode !== RECEIVE_EXIT.cut)
    throw failed(
      exitCode === RECEIVE_EXIT.unpack ? 'unpack the files' : 'put the files in place',
      exitCode,
      stderr,
    );
  if (verdict === WRONG || exitCode === RECEIVE_EXIT.cut) {
    const full = failed('unpack the files', exitCode, stderr);
    if (full.code === 'disk_full') throw full;
    const seen = new Set(stdout.toString('utf8').match(/[0-9a-f]{64}/g));
    const wrong = files.filter(({ sha256 }) => !seen.has(sha256));
    throw new RemoteError(
      'checksum_mismatch',
      `${wrong.length} of ${count(files.length, 'file')} arrived altered, first ${JSON.stringify(wrong[0]?.path)}. Nothing was replaced.`,
      { foreignText: quoteForeign(stderr.toString('utf8'), 600) },
    );
  }
  const listed = verdict === 'fence' ? fields.until(END_OF_TREE) : undefined;
  if (listed === undefined)
    throw new RemoteError('link_lost', 'The pod did not say that the files are in place.');
  return { listing: read(listed), fence: fence === '' ? undefined : fence };
}
