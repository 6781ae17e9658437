import type { Fault, FaultSubject } from '../faults.ts';
import type { FakeAnswer } from '../http.ts';
import { refusal, serverError } from './answers.ts';
import { ROUTE_FAULTS, type RouteFault } from './fault-kinds.ts';
import type { LambdaOptions } from './options.ts';
import { sizeOf, type World } from './world.ts';

const page = (title: string): FakeAnswer => ({
  status: 200,
  text: `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`,
  contentType: 'text/html',
});

/** Nobody says what a 429 holds. */
export const tooOften = ({ rateLimitBody }: Pick<LambdaOptions, 'rateLimitBody'>): FakeAnswer =>
  rateLimitBody === 'html'
    ? { ...page('429 Too Many Requests'), status: 429 }
    : { status: 429, text: '' };

interface Struck {
  readonly kind: RouteFault;
  readonly fault: Fault;
}
const isRouteFault = (name: string): name is RouteFault => Object.hasOwn(ROUTE_FAULTS, name);
const KINDS = Object.keys(ROUTE_FAULTS).filter(isRouteFault);

/** The fault of the wire that strikes this request, if any. */
export function wireFault(world: World, subject: FaultSubject): Struck | undefined {
  for (const kind of KINDS) {
    const fault = world.faults.next(kind, subject);
    if (fault !== undefined) return { kind, fault };
  }
  return undefined;
}

/** Does what the fault says instead of, before or after the work. */
export async function withFault(
  { kind, fault }: Struck,
  options: LambdaOptions,
  work: () => Promise<FakeAnswer>,
): Promise<FakeAnswer> {
  switch (kind) {
    case 'rate-limit':
      return tooOften(options);
    case 'http-500':
      return serverError();
    case 'http-502':
      return { ...page('502 Bad Gateway'), status: 502 };
    case 'http-503':
      return { status: 503, text: 'Service Temporarily Unavailable' };
    case 'provider-unavailable':
      return refusal(503, 'provider/internal-unavailable', 'Provider unavailable');
    case 'internal-error':
      return refusal(409, 'global/internal-error', 'An internal server error occurred.');
    case 'html':
      return page('Just a moment...');
    case 'late-500':
      await work();
      return serverError();
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
