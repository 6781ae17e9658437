import type { Fault, FaultSubject } from '../faults.ts';
import type { FakeAnswer } from '../http.ts';
import { ROUTE_FAULTS, type RouteFault } from './fault-kinds.ts';
import { problem } from './problem.ts';
import { sizeOf, type World } from './world.ts';

/** The three views of the cloud, each with an origin path of its own. */
export type Api = 'graphql' | 'v1' | 'v2';

const page = (title: string): string =>
  `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><center><h1>${title}</h1></center><hr><center>cloudflare</center></body></html>\n`;
const html = (status: number, title: string): FakeAnswer => ({
  status,
  text: page(title),
  contentType: 'text/html; charset=UTF-8',
});

/** What is answered for an API that is no more. */
export function withdrawn(api: Api, state: 'gone' | 'missing'): FakeAnswer {
  const status = state === 'gone' ? 410 : 404;
  const words =
    state === 'gone' ? 'This API has been retired.' : 'The requested path was not found.';
  if (api === 'v2') return problem(status, words);
  return api === 'v1'
    ? { status, body: { error: words, status } }
    : { status, body: { errors: [{ message: words, extensions: { code: 'RUNPOD' } }] } };
}

function failed(api: Api, status: number): FakeAnswer {
  if (api === 'v2') return problem(status, 'failed to process the request');
  const words = 'Something went wrong. Please try again later or contact support.';
  return api === 'v1'
    ? { status, body: { error: words, status } }
    : {
        status,
        body: { errors: [{ message: words, extensions: { code: 'INTERNAL_SERVER_ERROR' } }] },
      };
}

export function tooMany(seconds: number, window: string): FakeAnswer {
  return {
    ...problem(429, `rate limit exceeded for the ${window} window`),
    headers: { 'Retry-After': String(seconds) },
  };
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
  api: Api,
  { kind, fault }: Struck,
  work: () => Promise<FakeAnswer>,
): Promise<FakeAnswer> {
  switch (kind) {
    case 'rate-limit': {
      const seconds = sizeOf(fault, 20);
      if (api !== 'v2') return html(429, '429 Too Many Requests');
      const limited = tooMany(seconds, 'minute');
      return {
        ...limited,
        headers: { ...limited.headers, RateLimit: `"minute";r=0;t=${seconds}` },
      };
    }
    case 'http-500':
      return failed(api, 500);
    case 'http-502':
      return html(502, '502 Bad Gateway');
    case 'http-503':
      return { status: 503, text: 'Service Temporarily Unavailable' };
    case 'html-403':
      return html(403, 'Attention Required! | Cloudflare');
    case 'html':
      return html(200, 'Just a moment...');
    case 'api-gone':
      return withdrawn(api, 'gone');
    case 'api-missing':
      return withdrawn(api, 'missing');
    case 'drop-before':
      return { status: 200, body: {}, fault: 'drop' };
    case 'drop-after':
      return { ...(await work()), fault: 'drop' };
    case 'done-but-500':
      await work();
      return failed(api, 500);
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
