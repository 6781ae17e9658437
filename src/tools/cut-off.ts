import type { PodId, SessionId } from '../core/ids.ts';
import type { Sessions } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';

type Listed = Pick<Sessions, 'list'>;

export async function openSessions(
  sessions: Listed,
  podId: PodId,
): Promise<ReadonlySet<SessionId>> {
  const records = await sessions.list(podId);
  return new Set(records.filter((one) => !isSessionOver(one)).map(({ sessionId }) => sessionId));
}

/** Of those that were open before: which ended with a command running in them. */
export async function cutOffSessions(
  sessions: Listed,
  podId: PodId,
  before: ReadonlySet<SessionId>,
): Promise<readonly SessionId[]> {
  if (before.size === 0) return [];
  const records = await sessions.list(podId);
  return records
    .filter(({ sessionId, wasCutOff }) => wasCutOff === true && before.has(sessionId))
    .map(({ sessionId }) => sessionId);
}

/** A sentence with a blank before it; nothing where no command was ended. */
export function cutOffWords(cut: readonly SessionId[]): string {
  if (cut.length === 0) return '';
  const which = cut.length === 1 ? 'this session' : 'these sessions';
  return ` A command that was still running in ${which} was ended: ${cut.join(', ')}; session_read shows how far it came.`;
}
