import { type CallOptions, timeLimit } from './call.ts';
import type { PodId } from './ids.ts';
import type { SessionRecord, Sessions } from './session.ts';

const LOOK_LIMIT_SECONDS = 8;

/** Whether the shell has ended, so that its record says all there is. */
export const isSessionOver = ({ state }: Pick<SessionRecord, 'state'>): boolean =>
  state === 'closed' || state === 'lost';

/**
 * The records of a pod's sessions as they are now: a record says that a shell was opened, not what it does. Looked at within
 * 8 s where one is open and `mayAnswer`; what cannot be looked at is `unreachable`. Throws only for the signal.
 */
export async function sessionsNow(
  sessions: Pick<Sessions, 'look'>,
  podId: PodId,
  records: readonly SessionRecord[],
  mayAnswer: boolean,
  options: CallOptions,
): Promise<readonly SessionRecord[]> {
  const { look } = sessions;
  if (records.every(isSessionOver)) return records;
  const signal = AbortSignal.any([options.signal, timeLimit(LOOK_LIMIT_SECONDS)]);
  const seen =
    mayAnswer && look !== undefined
      ? await look(podId, { ...options, signal }).catch((failure: unknown) => {
          if (options.signal.aborted) throw failure;
          return [];
        })
      : [];
  return records.map((record): SessionRecord => {
    if (isSessionOver(record)) return record;
    const now = seen.find(({ sessionId }) => sessionId === record.sessionId);
    return now ?? { ...record, state: 'unreachable' };
  });
}
