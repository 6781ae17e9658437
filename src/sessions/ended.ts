import type { CallOptions, Clock } from '../core/call.ts';
import type { SessionRecord } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import { type ArchiveDeps, archiveStart, archiveTranscript } from './archive.ts';
import type { Link, Look } from './link.ts';
import { removeScript } from './pod-script/talk.ts';

const REMOVE_SECONDS = 20;

export interface EndedDeps extends ArchiveDeps {
  readonly store: Store;
  readonly link: Link;
  readonly clock: Clock;
  /** Kept of a transcript on the pod. */
  readonly transcriptBytes?: number | undefined;
}

/**
 * Files the end of a session: transcript home, then the record, then the folder on the pod is removed, in this order, so
 * that a crash between any two loses nothing.
 */
export async function fileEnd(
  deps: EndedDeps,
  record: SessionRecord,
  look: Pick<Look, 'state' | 'folderGone' | 'size' | 'keptFrom' | 'exitCode'>,
  options: CallOptions,
): Promise<SessionRecord> {
  const { store, remote, link, clock } = deps;
  link.stop(record.sessionId);
  const keptFrom = archiveStart(look);
  const archivePath =
    record.archivePath ??
    (look.folderGone ? undefined : await archiveTranscript(deps, record, keptFrom, options));
  const ended = await store.transaction(async (tx) => {
    const now = (await tx.sessions.get(record.sessionId)) ?? record;
    // Another server may have filed it, and removed the folder that we miss.
    if (now.state === 'closed' && now.archivePath !== undefined) return now;
    const next: SessionRecord = {
      ...now,
      state: look.state === 'lost' ? 'lost' : 'closed',
      closedAt: clock.now().toISOString(),
      ...(archivePath === undefined
        ? {}
        : { archivePath, ...(keptFrom === 0 ? {} : { keptFrom }) }),
      ...(look.exitCode === undefined ? {} : { exitCode: look.exitCode }),
    };
    await tx.sessions.put(record.sessionId, next);
    return next;
  });
  if (!look.folderGone)
    await remote.exec(record.podId, removeScript(record.folder), {
      ...options,
      timeoutSeconds: REMOVE_SECONDS,
    });
  return ended;
}
