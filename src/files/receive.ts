import { createHash } from 'node:crypto';
import { isAppError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import type { Wire } from './codec.ts';
import { collect } from './collect.ts';
import { type HashParts, PART_NAME } from './hash-parts.ts';
import { throwUnsent } from './local-failure.ts';
import { packText } from './pack.ts';
import { type Answer, RECEIVE_EXIT } from './placed.ts';
import { HASH_FUNCTION, hashSeconds, type Pod, transferSeconds } from './pod.ts';
import { totalBytes } from './sync-plan.ts';

const PLACE_NAME = '.gpu-lease-place-';
const NO_FOLDER = 42;

/** The last member of the stream: its name says what it holds, so that half of it is never run. */
export function packPlacing(script: string): Buffer {
  return packText(`./${PLACE_NAME}${createHash('sha256').update(script).digest('hex')}`, script);
}

const enter = (folder: string): readonly string[] => [
  'LC_ALL=C; export LC_ALL; umask 022',
  `mkdir -p -- ${shellQuote(folder)} && cd ${shellQuote(folder)} || exit ${NO_FOLDER}`,
];

/** A script that only unpacks its input into `folder` on the pod. */
export function unpackScript(folder: string, unpack: string): string {
  return [...enter(folder), `${unpack} || exit ${RECEIVE_EXIT.unpack}`].join('\n');
}

/** Unpacks the stream into `folder` on the pod and runs the script at its end. Throws what made the source fail. */
export async function receive(
  pod: Pod,
  wire: Wire,
  {
    folder,
    files,
    unpack,
    parts,
    taken,
  }: {
    /** Absolute; made. */
    readonly folder: string;
    /** All that may arrive. */
    readonly files: readonly { readonly bytes: number }[];
    /** Reads the stream. */
    readonly unpack: string;
    readonly parts: Pick<HashParts, 'around' | 'ours'>;
    /** Told of each piece of the wire that is needed no more. */
    readonly taken: ((piece: Buffer) => void) | undefined;
  },
): Promise<Answer> {
  const bytes = totalBytes(files);
  const printed = collect();
  const script = [
    HASH_FUNCTION,
    ...enter(folder),
    // What comes beside this stream may be here already.
    `for f in ./${PLACE_NAME}* ./${PART_NAME}*; do case $f in ./${parts.ours}*) ;; *) if [ -e "$f" ]; then rm -f "$f"; fi;; esac; done`,
    `u() { ${unpack} || return ${RECEIVE_EXIT.unpack}; }`,
    parts.around('u'),
    `for f in ./${PLACE_NAME}*; do x=$(H - <"$f"); [ "./${PLACE_NAME}\${x%% *}" = "$f" ] && exec sh "$f"; done`,
    `exit ${RECEIVE_EXIT.cut}`,
  ].join('\n');
  const { exitCode, stderr } = await pod.remote
    .stream(pod.podId, script, {
      ...pod.call,
      timeoutSeconds: transferSeconds(bytes + files.length * 1024) + hashSeconds(bytes),
      stdin: wire.stream,
      stdout: printed.sink,
      ...(taken === undefined ? {} : { taken }),
    })
    .catch((failure: unknown) => {
      // What was refused here is why the line was cut off.
      throw isAppError(wire.failure()) ? wire.failure() : failure;
    })
    // A transport that failed early leaves the source, and the file it has open, to us.
    .finally(() => wire.stream.destroy());
  const broken = wire.failure();
  if (isAppError(broken)) throw broken;
  if (broken !== undefined) throwUnsent(broken);
  return { exitCode, stderr, stdout: printed.bytes() };
}
