import type { SandboxClock } from './clock.ts';

/** The cloud's own books: what is billed in which state. Knows nothing of what its customers believe. */
export interface Meter {
  /** From now on this much is billed for `id`. Dollars an hour. */
  set(id: string, rates: MeterRates): void;
  /** From now on nothing is billed for `id`. */
  end(id: string): void;
  /** What moved, in dollars at the prices of its offer. */
  transfer(id: string, upUsd: number, downUsd: number): void;
  /** Of one, or of all that ever was. */
  spentUsd(id?: string): number;
  /** What is being billed now, at a price above nothing. */
  billing(): readonly {
    readonly id: string;
    readonly usdPerHour: number;
    readonly sinceSeconds: number;
  }[];
  /** Every time with one price, oldest first; the last of each id has no end while it lasts. */
  history(): readonly MeterSpan[];
}
export interface MeterRates {
  readonly gpuUsdPerHour: number;
  readonly diskUsdPerHour: number;
}
export interface MeterSpan extends MeterRates {
  readonly id: string;
  readonly fromSeconds: number;
  readonly toSeconds?: number;
}

/** Prices are whole billionths of a millidollar and times whole milliseconds, so that sums are exact in any order. */
const UNITS_PER_USD = 1e12;
const MS_PER_HOUR = 3_600_000n;

interface Account {
  readonly spans: MeterSpan[];
  rates: MeterRates | undefined;
  sinceMs: number;
  /** Units times milliseconds, of the spans that have ended. */
  closed: bigint;
}

export function createMeter(clock: Pick<SandboxClock, 'nowSeconds'>): Meter {
  const accounts = new Map<string, Account>();
  const nowMs = (): number => Math.round(clock.nowSeconds() * 1000);
  const accountOf = (id: string): Account => {
    const known = accounts.get(id);
    if (known !== undefined) return known;
    const made: Account = { spans: [], rates: undefined, sinceMs: 0, closed: 0n };
    accounts.set(id, made);
    return made;
  };
  const close = (id: string, account: Account, atMs: number): void => {
    const { rates, sinceMs } = account;
    if (rates === undefined) return;
    account.closed += unitsOf(rates) * BigInt(Math.max(0, atMs - sinceMs));
    account.spans.push({ id, ...rates, fromSeconds: sinceMs / 1000, toSeconds: atMs / 1000 });
    account.rates = undefined;
  };
  const spentBy = ({ closed, rates, sinceMs }: Account, atMs: number): bigint =>
    rates === undefined ? closed : closed + unitsOf(rates) * BigInt(Math.max(0, atMs - sinceMs));

  return {
    set(id, rates) {
      const account = accountOf(id);
      const { gpuUsdPerHour, diskUsdPerHour } = rates;
      if (
        account.rates?.gpuUsdPerHour === gpuUsdPerHour &&
        account.rates.diskUsdPerHour === diskUsdPerHour
      )
        return;
      const atMs = nowMs();
      close(id, account, atMs);
      account.rates = { gpuUsdPerHour, diskUsdPerHour };
      account.sinceMs = atMs;
    },
    end(id) {
      const account = accounts.get(id);
      if (account !== undefined) close(id, account, nowMs());
    },
    transfer(id, upUsd, downUsd) {
      accountOf(id).closed += (toUnits(upUsd) + toUnits(downUsd)) * MS_PER_HOUR;
    },
    spentUsd(id) {
      const atMs = nowMs();
      if (id === undefined)
        return toUsd([...accounts.values()].reduce((sum, one) => sum + spentBy(one, atMs), 0n));
      const account = accounts.get(id);
      return account === undefined ? 0 : toUsd(spentBy(account, atMs));
    },
    billing: () =>
      [...accounts].flatMap(([id, { rates, sinceMs }]) => {
        const usdPerHour = rates === undefined ? 0 : rates.gpuUsdPerHour + rates.diskUsdPerHour;
        return usdPerHour > 0 ? [{ id, usdPerHour, sinceSeconds: sinceMs / 1000 }] : [];
      }),
    history: () =>
      [...accounts]
        .flatMap(([id, { spans, rates, sinceMs }]) =>
          rates === undefined ? spans : [...spans, { id, ...rates, fromSeconds: sinceMs / 1000 }],
        )
        .sort((left, right) => left.fromSeconds - right.fromSeconds),
  };
}

function unitsOf({ gpuUsdPerHour, diskUsdPerHour }: MeterRates): bigint {
  return toUnits(gpuUsdPerHour) + toUnits(diskUsdPerHour);
}
function toUnits(usd: number): bigint {
  return BigInt(Math.round(usd * UNITS_PER_USD));
}
/** The whole dollars apart, so that a long history loses nothing when it becomes a number. */
function toUsd(total: bigint): number {
  const units = total / MS_PER_HOUR;
  const whole = BigInt(UNITS_PER_USD);
  return Number(units / whole) + Number(units % whole) / UNITS_PER_USD;
}
