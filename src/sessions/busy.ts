import type { CallOptions } from '../core/call.ts';
import { RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { type EndedDeps, isOver } from './ended.ts';
import { statesOf } from './open.ts';

/** See `Sessions.hasBusy`: one look at all of them. */
export async function hasBusySession(
  deps: EndedDeps,
  podId: PodId,
  options: CallOptions,
): Promise<boolean> {
  const records = (await deps.store.sessions.list()).filter(
    (one) => one.podId === podId && !isOver(one),
  );
  if (records.length === 0) return false;
  const lines = await statesOf(deps, podId, records, options);
  const states = lines.slice(0, records.length).map((line) => line.split(' ')[0]);
  if (states.length < records.length || states.includes(''))
    throw new RemoteError('remote_failed', 'The pod did not say what its sessions do.');
  return states.includes('busy');
}
