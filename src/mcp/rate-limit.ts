import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';

export interface RateLimit {
  /** Calls that may come at once. */
  readonly burst: number;
  /** Calls that are allowed again each second. */
  readonly perSecond: number;
}
/** No agent needs more, and a loop that does is stopped before it reaches a cloud. */
export const HTTP_RATE_LIMIT: RateLimit = { burst: 600, perSecond: 30 };

/** A token bucket. Throws `rate_limited` with the seconds to wait when it is empty. */
export function createRateLimiter({ burst, perSecond }: RateLimit, clock: Clock): () => void {
  let tokens = burst;
  let readAt = clock.now().getTime();

  return () => {
    const now = clock.now().getTime();
    // A clock that was set back gives nothing, and takes nothing.
    tokens = Math.min(burst, tokens + (Math.max(0, now - readAt) / 1000) * perSecond);
    readAt = now;
    if (tokens < 1)
      throw new PolicyError('rate_limited', 'Too many calls in a short time.', {
        hint: 'Wait, then call again. Use waitSeconds instead of asking in a loop.',
        retryAfterSeconds: Math.max(1, Math.ceil((1 - tokens) / perSecond)),
      });
    tokens -= 1;
  };
}
