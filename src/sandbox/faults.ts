import { InputError } from '../core/errors.ts';
import { type FaultKind, type FaultRule, faultRuleSchema } from '../core/sandbox.ts';
import type { SandboxClock } from './clock.ts';
import { randomOf } from './random.ts';

/** A fault that strikes now. */
export interface Fault {
  readonly kind: string;
  readonly afterSeconds?: number;
  readonly value?: number | string;
}

/** What a fault may strike. A rule that names one of these strikes only where it is the same. */
export interface FaultSubject {
  readonly offerId?: string | undefined;
  readonly machineId?: string | undefined;
  /** "PUT /api/v0/asks/123/". */
  readonly route?: string | undefined;
}

export interface ActiveFault extends FaultRule {
  readonly id: string;
  /** How often it struck. */
  readonly struck: number;
}

/** The faults of one cloud. */
export interface Faults {
  /**
   * Whether a fault of this kind strikes here, now; asked once for each chance, because answering uses it up. A text
   * stands for whichever of offer, machine or route the rule names.
   */
  next(kind: string, key?: string | FaultSubject): Fault | undefined;
}
export interface FaultBook {
  of(cloud: string): Faults;
  /** Throws `invalid_input` for a kind that no cloud knows. */
  add(rule: FaultRule): ActiveFault;
  /** Ends one rule, or all. Answers how many. */
  clear(id?: string): number;
  list(): readonly ActiveFault[];
  /** How likely a fault strikes by itself at each chance: 0 to 1. */
  setChaos(rate: number): void;
  readonly kinds: () => readonly (FaultKind & { readonly cloud: string })[];
}

export interface FaultBookDeps {
  readonly clock: Pick<SandboxClock, 'nowSeconds'>;
  readonly seed: number;
  readonly chaos?: number;
  /** By cloud. Asked each time, because clouds come after the faults they are given. */
  readonly kinds: () => Readonly<Record<string, readonly FaultKind[]>>;
}

interface Rule {
  readonly id: string;
  readonly rule: FaultRule;
  readonly addedAt: number;
  chances: number;
  struck: number;
}

export function createFaultBook({ clock, seed, chaos = 0, kinds }: FaultBookDeps): FaultBook {
  const rules: Rule[] = [];
  const asked = new Map<string, number>();
  let chaosRate = chaos;
  let count = 0;

  const strikes = (entry: Rule, cloud: string, kind: string, subject: FaultSubject): boolean => {
    const { rule, addedAt } = entry;
    if (rule.kind !== kind || (rule.cloud !== undefined && rule.cloud !== cloud)) return false;
    if (!isMeant(rule, subject)) return false;
    const isTimed = rule.route !== undefined && rule.afterSeconds !== undefined;
    if (isTimed && clock.nowSeconds() < addedAt + (rule.afterSeconds ?? 0)) return false;
    if (entry.struck >= (rule.times ?? Infinity)) return false;
    entry.chances += 1;
    return entry.chances > (rule.skip ?? 0);
  };

  const byChance = (cloud: string, kind: string, subject: FaultSubject): Fault | undefined => {
    if (chaosRate <= 0) return undefined;
    if (!kinds()[cloud]?.some((known) => known.kind === kind && known.chaos === true))
      return undefined;
    const place = [cloud, kind, subject.offerId, subject.machineId, subject.route].join(' ');
    const nth = (asked.get(place) ?? 0) + 1;
    asked.set(place, nth);
    return randomOf(seed, place, nth) < chaosRate ? { kind } : undefined;
  };

  return {
    of: (cloud) => ({
      next(kind, key = {}) {
        const subject =
          typeof key === 'string' ? { offerId: key, machineId: key, route: key } : key;
        const entry = rules.find((candidate) => strikes(candidate, cloud, kind, subject));
        if (entry === undefined) return byChance(cloud, kind, subject);
        entry.struck += 1;
        const { afterSeconds, value, route } = entry.rule;
        return {
          kind,
          ...(afterSeconds === undefined || route !== undefined ? {} : { afterSeconds }),
          ...(value === undefined ? {} : { value }),
        };
      },
    }),
    add(given) {
      const rule = faultRuleSchema.parse(given);
      const clouds = Object.entries(kinds()).filter(
        ([cloud]) => rule.cloud === undefined || rule.cloud === cloud,
      );
      if (clouds.length === 0)
        throw new InputError('invalid_input', 'This sandbox has no such cloud.', {
          hint: `Clouds: ${Object.keys(kinds()).sort().join(', ')}.`,
        });
      const known = clouds.flatMap(([, list]) => list);
      const meant = known.filter(({ kind }) => kind === rule.kind);
      if (meant.length === 0)
        throw new InputError('invalid_input', 'No cloud of this sandbox knows this fault.', {
          hint: `Faults: ${[...new Set(known.map(({ kind }) => kind))].sort().join(', ')}.`,
        });
      checkSize(rule, meant);
      count += 1;
      const entry: Rule = {
        id: `fault-${count}`,
        rule,
        addedAt: clock.nowSeconds(),
        chances: 0,
        struck: 0,
      };
      rules.push(entry);
      return shown(entry);
    },
    clear(id) {
      const ended = rules.filter((entry) => id === undefined || entry.id === id);
      for (const entry of ended) rules.splice(rules.indexOf(entry), 1);
      if (id === undefined) chaosRate = 0;
      return ended.length;
    },
    list: () => rules.map(shown),
    setChaos(rate) {
      chaosRate = Math.min(1, Math.max(0, rate));
    },
    kinds: () =>
      Object.entries(kinds()).flatMap(([cloud, list]) => list.map((kind) => ({ ...kind, cloud }))),
  };
}

/** Throws `invalid_input` for a size that the fault does not have. */
function checkSize({ kind, value }: FaultRule, meant: readonly FaultKind[]): void {
  if (value === undefined) return;
  const sizes = new Set(meant.flatMap(({ size }) => size ?? []));
  if (sizes.size === 0)
    throw new InputError('invalid_input', `The fault ${kind} takes no value.`, {
      hint: meant[0]?.summary ?? '',
    });
  const isNumber = String(value).trim() !== '' && Number(value) >= 0 && Number(value) < Infinity;
  if (sizes.has('name') || isNumber) return;
  throw new InputError('invalid_input', `The value of the fault ${kind} must be a number.`, {
    hint: meant[0]?.summary ?? '',
  });
}

function shown({ id, rule, struck }: Rule): ActiveFault {
  return { id, ...rule, struck };
}

function isMeant(rule: FaultRule, subject: FaultSubject): boolean {
  const { offerId, machineId, route } = rule;
  if (offerId !== undefined && offerId !== subject.offerId) return false;
  if (machineId !== undefined && machineId !== subject.machineId) return false;
  return route === undefined || (subject.route?.includes(route) ?? false);
}
