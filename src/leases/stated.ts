import { isDeepStrictEqual } from 'node:util';
import { PolicyError } from '../core/errors.ts';
import type { Terms } from '../core/lease.ts';
import type { StatedTerms } from '../core/pods.ts';

const FRESH =
  'Call again with quoteId alone, or without it for a fresh quote of what is wanted now, and show that to the user.';

/**
 * What is said beside a quoteId must be what the person agreed to; absent is fine, and so is what never came into the quote. Throws
 * `quote_invalid` that names what differs. Uses nothing up.
 */
export function checkStated(stated: StatedTerms, { leftOut = [], ...terms }: Terms): void {
  const { offerIds = [], ...rest } = stated;
  const wanted = [...new Set(offerIds)].filter((offerId) => !leftOut.includes(offerId));
  refuse([
    ...differing(wanted.length === 0 && offerIds.length === 0 ? {} : { offerIds: wanted }, {
      offerIds: terms.offerIds,
    }),
    ...differing(sorted(rest), sorted(terms)),
  ]);
}

/** As `checkStated`, for a change of a pod. A switch that is off says nothing. */
export function checkStatedChange(
  stated: Readonly<Record<string, unknown>>,
  change: Readonly<Record<string, unknown>>,
): void {
  const said = Object.entries(stated).filter(([, value]) => value !== false);
  refuse(differing(Object.fromEntries(said), change));
}

function differing(
  stated: Readonly<Record<string, unknown>>,
  agreed: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.entries(stated)
    .filter(([name, value]) => value !== undefined && !isDeepStrictEqual(value, agreed[name]))
    .map(([name, value]) => {
      const quoted = agreed[name];
      return typeof value === 'number'
        ? `${name} (quoted ${typeof quoted === 'number' ? quoted : 'without'}, now ${value})`
        : name;
    });
}

function refuse(names: readonly string[]): void {
  if (names.length > 0)
    throw new PolicyError('quote_invalid', `The quote says otherwise: ${names.join(', ')}.`, {
      hint: FRESH,
    });
}

/** In lists of names the order says nothing. */
function sorted(terms: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(terms).map(([name, value]) => [
      name,
      Array.isArray(value) ? [...new Set(value.map(String))].sort() : value,
    ]),
  );
}
