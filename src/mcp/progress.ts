import type { ServerContext } from '@modelcontextprotocol/server';
import { type Clock, OVER } from '../core/call.ts';

/** Hosts drop silent calls; this keeps them patient. It never extends a limit of theirs. */
const HEARTBEAT_SECONDS = 8;

export interface CallProgress {
  readonly report: (message: string) => void;
  /** After this nothing more is sent: a notification must not follow the result. */
  end(): void;
}

/** Progress notifications of one call: one at once, then every message, then a heartbeat. Values only rise. */
export function startProgress(
  { mcpReq }: ServerContext,
  clock: Clock,
  first: string,
  tell: (message: string) => void,
): CallProgress {
  const token = mcpReq._meta?.progressToken;
  const stop = new AbortController();
  const startedAt = clock.now().getTime();
  let value = 0;
  let last = first;

  const send = (message: string): void => {
    if (token === undefined || stop.signal.aborted || mcpReq.signal.aborted) return;
    value += 1;
    const params = { progressToken: token, progress: value, message };
    // The host may be gone; the call itself will notice.
    mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
  const beat = async (): Promise<void> => {
    const signal = AbortSignal.any([stop.signal, mcpReq.signal]);
    for (;;) {
      await clock.sleep(HEARTBEAT_SECONDS, { signal });
      const seconds = Math.round((clock.now().getTime() - startedAt) / 1000);
      send(`${last} (${seconds} s)`);
    }
  };

  send(first);
  if (token !== undefined) beat().catch(() => undefined);
  return {
    report(message) {
      last = message;
      tell(message);
      send(message);
    },
    end() {
      stop.abort(OVER);
    },
  };
}
