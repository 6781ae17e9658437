import { type CallOptions, type Clock, systemClock } from '../core/call.ts';
import type { BootLogs } from '../core/health.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { limitOf, untilAborted } from './deps.ts';
import { createLedger } from './ledger.ts';

const TAIL_LINES = 200;
const KEPT_CHARS = 12_000;
const DETAIL_CHARS = 2000;
const FETCH_LIMIT_SECONDS = 45;
const KIND = 'boot_log';

export interface BootLogKeeper extends BootLogs {
  /**
   * Brings home what the pod printed while it booted, and what its cloud says of its state, before it is ended (RE-16).
   * `undefined`: neither.
   */
  keep(lease: Lease, detail: string | undefined): Promise<string | undefined>;
}

export interface BootLogDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly clock?: Clock;
  /** Masks the secrets that a boot script may have printed. */
  readonly redact?: ((text: string) => string) | undefined;
}

export function createBootLogs({
  store,
  providers,
  clock = systemClock,
  redact = (text) => text,
}: BootLogDeps): BootLogKeeper {
  const ledger = createLedger({ store, clock });

  async function fetch(podId: PodId, signal: AbortSignal): Promise<string | undefined> {
    const logs = providers.get(providerOf(podId))?.logs;
    if (logs === undefined) return undefined;
    try {
      const text = await untilAborted(logs.bootLog(podId, TAIL_LINES, { signal }), signal);
      // The end says why.
      const end = quoteForeign(redact(text).slice(-KEPT_CHARS), KEPT_CHARS);
      return end === '' ? undefined : end;
    } catch {
      return undefined;
    }
  }

  return {
    async tail(podId, options: CallOptions) {
      const lease = await ledger.find(podId);
      if (lease === undefined) return undefined;
      const own = lease.podId ?? podId;
      const kept = (await store.log.list(own)).findLast(({ kind }) => kind === KIND);
      if (kept !== undefined || lease.state === 'closed') return kept?.text;
      const text = await fetch(
        own,
        AbortSignal.any([options.signal, limitOf(FETCH_LIMIT_SECONDS)]),
      );
      options.signal.throwIfAborted();
      return text;
    },
    async keep(lease, detail = '') {
      if (lease.podId === undefined) return undefined;
      const log = await fetch(lease.podId, limitOf(FETCH_LIMIT_SECONDS));
      const state = quoteForeign(redact(detail), DETAIL_CHARS);
      const told = [log, state].filter((part) => part !== undefined && part !== '');
      const text = told.length === 0 ? undefined : told.join('\n');
      if (text !== undefined) await ledger.note(KIND, lease, text);
      return text;
    },
  };
}
