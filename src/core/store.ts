import type { ArtifactRecord } from './files.ts';
import type { Host } from './host.ts';
import type { Job } from './job.ts';
import type { Lease, Quote, Receipt } from './lease.ts';
import type { SavedProfile } from './profile.ts';
import type { CodeRecord, SealedReceipt } from './receipt.ts';
import type { SessionRecord } from './session.ts';
import type { WatchRecord } from './watcher.ts';

/** Records of one kind, by id. A reader sees the old record or the new one, never half of it. */
export interface Collection<T> {
  get(id: string): Promise<T | undefined>;
  /** In order of first `put`. */
  list(): Promise<readonly T[]>;
  put(id: string, record: T): Promise<void>;
  delete(id: string): Promise<void>;
  /** Ids whose record exists but cannot be understood: kept, left out of `list`, and `get` of one throws `state_unreadable`. */
  unreadable?(): Promise<readonly string[]>;
}

/** One append-only line of what happened and who allowed it (OW-06). */
export interface LogEntry {
  readonly at: string;
  readonly kind: string;
  readonly podId?: string | undefined;
  readonly text: string;
}
export interface HostKey {
  readonly podId: string;
  /** Base64 of the public key blob. */
  readonly key: string;
  readonly firstSeenAt: string;
  /** The id of this record where it is not the pod's: a machine on the way to it. */
  readonly fileUnder?: string | undefined;
}

export interface Collections {
  readonly leases: Collection<Lease>;
  readonly quotes: Collection<Quote>;
  readonly receipts: Collection<Receipt>;
  /** Receipts that are never changed, each bound to the one before: only ever added to, in one transaction with its facts. */
  readonly chain: Collection<SealedReceipt>;
  /** What was last sent to each folder of a pod. */
  readonly code: Collection<CodeRecord>;
  readonly sessions: Collection<SessionRecord>;
  readonly jobs: Collection<Job>;
  readonly artifacts: Collection<ArtifactRecord>;
  readonly profiles: Collection<SavedProfile>;
  readonly hostKeys: Collection<HostKey>;
  readonly hosts: Collection<Host>;
  /** One record, under `WATCH_ID`. */
  readonly watchers: Collection<WatchRecord>;
  readonly log: {
    append(entry: LogEntry): Promise<void>;
    list(podId?: string): Promise<readonly LogEntry[]>;
  };
}

/**
 * Durable state shared by every server process of the machine. Opens lazily on first use; throws `state_unwritable`.
 * `transaction` takes the write lock first (BEGIN IMMEDIATE), so that what was read inside still holds when it commits;
 * `work` must use only its argument and do no network. Throwing rolls back.
 */
export interface Store extends Collections, AsyncDisposable {
  transaction<T>(work: (tx: Collections) => Promise<T>): Promise<T>;
}
