import type { SeenRequest } from '../core/sandbox.ts';
import type { SandboxClock } from './clock.ts';

/** The last requests to all clouds, bounded, secrets masked. */
export interface RequestLog {
  /** Notes a request; the answer is called with its status, or with none when no answer will come. */
  begin(
    request: Omit<SeenRequest, 'at' | 'status' | 'fault'>,
  ): (status: number | undefined, fault: string | undefined) => void;
  last(count?: number): readonly SeenRequest[];
  /** How many there ever were. */
  total(): number;
}

const KEPT = 1000;
const SECRET_NAME = /key|token|secret|passw|login|auth|^env$|onstart/i;
const MAX_TEXT = 300;
const MAX_DEPTH = 6;

export function createRequestLog(
  clock: Pick<SandboxClock, 'nowSeconds'>,
  onRequest: (request: SeenRequest) => void = () => undefined,
): RequestLog {
  const kept: SeenRequest[] = [];
  let total = 0;
  return {
    begin({ body, ...request }) {
      const at = clock.nowSeconds();
      total += 1;
      return (status, fault) => {
        const seen: SeenRequest = { at, ...request, status, fault, body: masked(body, 0) };
        kept.push(seen);
        if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
        onRequest(seen);
      };
    },
    last: (count = KEPT) => kept.slice(Math.max(0, kept.length - count)),
    total: () => total,
  };
}

/** The path with its query, without the keys that some clients put there. */
export function maskedPath({
  path,
  query,
}: {
  readonly path: string;
  readonly query: URLSearchParams;
}): string {
  const shown = [...query].map(([name, value]) =>
    SECRET_NAME.test(name) ? `${name}=***` : `${name}=${value.slice(0, MAX_TEXT)}`,
  );
  return shown.length === 0 ? path : `${path}?${shown.join('&')}`;
}

function masked(value: unknown, depth: number): unknown {
  if (typeof value === 'string')
    return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.slice(0, 50).map((item) => masked(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) && inner !== null ? '***' : masked(inner, depth + 1),
    ]),
  );
}
