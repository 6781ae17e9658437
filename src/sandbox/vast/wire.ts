import type { Fault, FaultSubject } from '../faults.ts';
import type { FakeAnswer } from '../http.ts';
import { failure } from './answers.ts';
import { ROUTE_FAULTS, type RouteFault } from './fault-kinds.ts';
import { sizeOf, type World } from './world.ts';

const HTML =
  '<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>\n';
const TOO_FREQUENT = 'API requests too frequent';

export function tooFrequent(
  threshold: number,
  form: 'text' | 'json',
  isDestroy: boolean,
): FakeAnswer {
  const message = `${TOO_FREQUENT}${form === 'text' ? ':' : ''} endpoint threshold=${threshold.toFixed(1)}`;
  if (form === 'text') return { status: 429, text: message };
  return isDestroy
    ? failure(429, 'rate_limit_exceeded', message)
    : { status: 429, body: { detail: message } };
}

interface Struck {
  readonly kind: RouteFault;
  readonly fault: Fault;
}

/** The fault of the wire that strikes this request, if any. */
export function wireFault(world: World, subject: FaultSubject): Struck | undefined {
  for (const kind of KINDS) {
    const fault = world.faults.next(kind, subject);
    if (fault !== undefined) return { kind, fault };
  }
  return undefined;
}
const isRouteFault = (name: string): name is RouteFault => Object.hasOwn(ROUTE_FAULTS, name);
const KINDS = Object.keys(ROUTE_FAULTS).filter(isRouteFault);

/** Does what the fault says instead of, before or after the work. */
export async function withFault(
  { kind, fault }: Struck,
  isDestroy: boolean,
  work: () => Promise<FakeAnswer>,
): Promise<FakeAnswer> {
  switch (kind) {
    case 'rate-limit':
      return tooFrequent(sizeOf(fault, 4.5), 'text', isDestroy);
    case 'rate-limit-json':
      return tooFrequent(sizeOf(fault, 4.5), 'json', isDestroy);
    case 'http-500':
      return failure(500, 'server_error', 'Internal server error');
    case 'http-502':
      return { status: 502, text: HTML, contentType: 'text/html' };
    case 'http-503':
      return { status: 503, text: 'Service Temporarily Unavailable' };
    case 'http-504':
      return { status: 504, text: '' };
    case 'html':
      return {
        status: 200,
        text: HTML.replaceAll('502 Bad Gateway', 'Just a moment...'),
        contentType: 'text/html',
      };
    case 'success-false':
      return failure(200, 'server_error', 'The request could not be processed.');
    case 'drop-before':
      return { status: 200, body: {}, fault: 'drop' };
    case 'drop-after':
      return { ...(await work()), fault: 'drop' };
    case 'stall':
      return { ...(await work()), fault: 'stall' };
    case 'slow':
      return { ...(await work()), delaySeconds: sizeOf(fault, 20) };
    case 'truncated': {
      const { status, body } = await work();
      const text = JSON.stringify(body ?? {});
      return {
        status,
        text: text.slice(0, Math.floor(text.length / 2)),
        contentType: 'application/json',
      };
    }
  }
}
