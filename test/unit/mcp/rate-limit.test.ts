import { describe, expect, it } from 'vitest';
import { createRateLimiter } from '../../../src/mcp/rate-limit.ts';
import { ManualClock } from '../../support/clock.ts';

describe('the limit on calls', () => {
  it('lets a burst through, then as many as come back with time, and says how long to wait', () => {
    const clock = new ManualClock();
    const admit = createRateLimiter({ burst: 3, perSecond: 0.5 }, clock);
    for (let call = 0; call < 3; call += 1) admit();
    expect(admit).toThrow(
      expect.objectContaining({ code: 'rate_limited', retryable: true, retryAfterSeconds: 2 }),
    );
    clock.advance(1);
    expect(admit).toThrow(expect.objectContaining({ retryAfterSeconds: 1 }));
    clock.advance(1);
    admit();
    expect(admit).toThrow();
    clock.advance(3600);
    for (let call = 0; call < 3; call += 1) admit();
    expect(admit).toThrow();
  });

  it('a clock that is set back neither gives nor takes', () => {
    let now = 1_000_000;
    const clock = { now: () => new Date(now), sleep: async () => Promise.resolve() };
    const admit = createRateLimiter({ burst: 2, perSecond: 1 }, clock);
    admit();
    now -= 500_000;
    admit();
    expect(admit).toThrow();
    now += 1_000;
    admit();
    expect(admit).toThrow();
  });
});
