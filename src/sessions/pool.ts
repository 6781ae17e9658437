import type { PodId } from '../core/ids.ts';
import { createDialer, type Dialer, type DialerDeps } from './dialer.ts';
import { createHost, type HeldChannel, type Host, type OpenOptions } from './host.ts';
import { IDLE_SECONDS } from './idle.ts';

export interface Pool extends AsyncDisposable {
  /**
   * Starts `command` on a channel to the pod, connecting where there is no connection, waiting where all channels are
   * taken. Retries only what never started.
   */
  open(podId: PodId, command: string, options: OpenOptions): Promise<HeldChannel>;
  /** The same, but only where it takes nothing from anybody. Undefined: not now. */
  openSpare(podId: PodId, command: string): Promise<HeldChannel | undefined>;
  /** Who keeps channels ready gives them back when asked to, and says how many. One listener. */
  whenCrowded(giveBack: (podId: PodId) => number): void;
  disconnect(podId: PodId): Promise<void>;
}

export interface PoolDeps extends DialerDeps {
  /** A connection without a channel is closed after this. Default 120. */
  readonly idleSeconds?: number | undefined;
}

export function createPool(deps: PoolDeps): Pool {
  const hosts = new Map<PodId, Host>();
  /** They outlive a hang-up: which login was let in, and how often one was refused, stays true. */
  const dialers = new Map<PodId, Dialer>();
  let giveBack: (podId: PodId) => number = () => 0;

  const hostOf = (podId: PodId): Host => {
    const dialer = dialers.get(podId) ?? createDialer(podId, deps);
    dialers.set(podId, dialer);
    const host =
      hosts.get(podId) ??
      createHost({
        dial: async () => dialer.dial(),
        onCrowded: () => giveBack(podId),
        idleSeconds: deps.idleSeconds ?? IDLE_SECONDS,
      });
    hosts.set(podId, host);
    return host;
  };

  return {
    open: async (podId, command, options) => hostOf(podId).open(command, options),
    openSpare: async (podId, command) => hosts.get(podId)?.openSpare(command),
    whenCrowded(listener) {
      giveBack = listener;
    },
    async disconnect(podId) {
      const host = hosts.get(podId);
      hosts.delete(podId);
      host?.end();
      return Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      for (const podId of [...hosts.keys()]) await this.disconnect(podId);
    },
  };
}
