import type { CallOptions } from '../core/call.ts';
import { RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { type SessionRecord, sessionStateSchema } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';
import type { EndedDeps } from './ended.ts';
import { statesOf } from './open.ts';

/** See `Sessions.look`: one look at all of them. What is seen is not stored: a moment later it is another. */
export async function lookAtSessions(
  deps: EndedDeps,
  podId: PodId,
  options: CallOptions,
): Promise<readonly SessionRecord[]> {
  const records = (await deps.store.sessions.list())
    .filter((one) => one.podId === podId && !isSessionOver(one))
    .reverse();
  if (records.length === 0) return [];
  const lines = await statesOf(deps, podId, records, options);
  return records.map((record, index) => {
    const word = lines[index]?.split(' ')[0];
    const state = sessionStateSchema.safeParse(word === 'gone' ? 'lost' : word);
    if (!state.success)
      throw new RemoteError('remote_failed', 'The pod did not say what its sessions do.');
    return { ...record, state: state.data };
  });
}

/** See `Sessions.hasBusy`. */
export async function hasBusySession(
  deps: EndedDeps,
  podId: PodId,
  options: CallOptions,
): Promise<boolean> {
  return (await lookAtSessions(deps, podId, options)).some(({ state }) => state === 'busy');
}
