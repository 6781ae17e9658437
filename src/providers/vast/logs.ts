import type { CallOptions, Clock } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import type { PodLogs } from '../../core/provider.ts';
import type { Http } from '../http.ts';
import type { VastApi } from './api.ts';
import { contractOf } from './power.ts';

const WAIT_SECONDS = 40;
const LOOK_EVERY_SECONDS = 1;
const MAX_BYTES = 512 * 1024;
const MAX_LINES = 5000;

export interface LogsDeps {
  readonly api: VastApi;
  readonly http: Http;
  readonly clock: Clock;
}

/** The host uploads its log to a place elsewhere, which refuses until it is there and must never see our key. */
export function createLogs({ api, http, clock }: LogsDeps): PodLogs {
  return {
    async bootLog(podId, tailLines, options) {
      options.signal.throwIfAborted();
      const lines = Math.min(MAX_LINES, Math.max(1, Math.floor(tailLines)));
      const url = await api.requestLogs(contractOf(podId), lines, options);
      if (!isWebAddress(url))
        throw new ProviderError('provider_contract', 'Vast.ai named a log that is no web address.');
      const text = await poll(async () => fetchOnce(http, url, options), {
        ...options,
        clock,
        timeoutSeconds: WAIT_SECONDS,
        everySeconds: LOOK_EVERY_SECONDS,
      });
      if (text !== undefined) return text;
      throw new ProviderError('provider_unavailable', 'The host has not sent its log yet.', {
        hint: 'Right after the start there is none for up to a minute. Call again.',
        retryAfterSeconds: 30,
      });
    },
  };
}

async function fetchOnce(
  http: Http,
  url: string,
  options: CallOptions,
): Promise<string | undefined> {
  try {
    const { status, text } = await http.fetchFile(url, MAX_BYTES, options);
    return status === 200 ? text : undefined;
  } catch (failure) {
    options.signal.throwIfAborted();
    if (isAppError(failure) && failure.code === 'provider_unavailable') return undefined;
    throw failure;
  }
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
