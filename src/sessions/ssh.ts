import type { Clock } from '../core/call.ts';
import { Disposer } from '../core/disposer.ts';
import type { Machines } from '../core/machine.ts';
import type { Redactor } from '../core/redact.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import { createHostKeys } from './host-keys.ts';
import { createPool } from './pool.ts';
import { createRemote } from './remote.ts';
import { createRuns } from './runs.ts';
import { createSessions } from './sessions.ts';

export interface SshDeps {
  readonly machines: Machines;
  readonly store: Store;
  readonly clock: Clock;
  /** Our state folder: transcripts of ended sessions go below it. */
  readonly home: string;
  readonly redactor: Redactor;
  /** SSH_AUTH_SOCK of the person, for machines without a key of ours. */
  readonly agentSocket?: string | undefined;
  /** A connection that is silent for three periods of this length is dead. Default 10. */
  readonly keepaliveSeconds?: number | undefined;
  /** Channels that were kept open and went unused this long are given back. Default 120. */
  readonly idleSeconds?: number | undefined;
  /** At most so many channels of a pod wait for a command, so that it costs one round trip. Default 4; 0: none. */
  readonly warmChannels?: number | undefined;
  /** All of it is bulk: on the machine it steps back behind everything else. */
  readonly givesWay?: boolean | undefined;
  /** Kept of each transcript on a pod: the last so many bytes. Default 50 MiB. */
  readonly transcriptBytes?: number | undefined;
}

/** Everything that talks SSH, over one pool of connections. */
export function createSsh(
  deps: SshDeps,
): { readonly remote: Remote; readonly sessions: Sessions } & AsyncDisposable {
  const disposer = new Disposer();
  const pool = createPool({ ...deps, hostKeys: createHostKeys(deps) });
  const runs = createRuns({ ...deps, pool });
  const remote = disposer.use(createRemote({ pool, runs, machines: deps.machines }));
  const sessions = disposer.use(createSessions({ ...deps, remote, runs }));
  return {
    remote,
    sessions,
    async [Symbol.asyncDispose]() {
      await disposer[Symbol.asyncDispose]();
    },
  };
}
