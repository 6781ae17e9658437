import type { Clock } from '../core/call.ts';
import type { Jobs } from '../core/job.ts';
import type { Remote } from '../core/remote.ts';
import type { Store } from '../core/store.ts';

export interface FilesDeps {
  readonly remote: Remote;
  readonly store: Pick<Store, 'artifacts' | 'transaction'>;
  readonly jobs: Pick<Jobs, 'get' | 'list' | 'refresh'>;
  readonly clock: Clock;
  /** Our own state on this machine. */
  readonly home: string;
  /** Local paths outside it are refused. */
  readonly workspace: string;
}
