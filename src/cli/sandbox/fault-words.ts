import type { FaultRule } from '../../core/sandbox.ts';
import { UsageError } from '../command.ts';

export const FAULT_SYNTAX = 'KIND[=VALUE][+SECONDS][xTIMES][@WHERE]';

/**
 * Reads `stuck-loading@123`, `outbid+120`, `slow=30x2@route:PUT /api/v0/asks`, `wrong-gpu@machine:55`. A number alone
 * names an offer. Throws a `UsageError` that says what was expected.
 */
export function faultFrom(word: string): FaultRule {
  const [, kind, value, after, times, where] =
    /^([a-z][a-z0-9-]*?)(?:=([^@]+?))?(?:\+(\d+(?:\.\d+)?))?(?:x(\d+))?(?:@(.+))?$/.exec(word) ??
    [];
  if (kind === undefined)
    throw new UsageError(`--fault takes ${FAULT_SYNTAX}, like "stuck-loading@123".`);
  return {
    kind,
    ...(value === undefined ? {} : { value: asNumber(value) }),
    ...(after === undefined ? {} : { afterSeconds: Number(after) }),
    ...(times === undefined ? {} : { times: Number(times) }),
    ...(where === undefined ? {} : targetOf(where)),
  };
}

function targetOf(where: string): Pick<FaultRule, 'cloud' | 'offerId' | 'machineId' | 'route'> {
  const [, name, rest = ''] = /^(cloud|offer|machine|route):(.+)$/.exec(where) ?? [];
  if (name === 'cloud') return { cloud: rest };
  if (name === 'machine') return { machineId: rest };
  if (name === 'route') return { route: rest };
  if (name === 'offer') return { offerId: rest };
  return /^(?:\/|[A-Z]+ )/.test(where) ? { route: where } : { offerId: where };
}

function asNumber(text: string): number | string {
  const number = Number(text);
  return text.trim() === '' || !Number.isFinite(number) ? text : number;
}
