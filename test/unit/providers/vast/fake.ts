import type { CallOptions } from '../../../../src/core/call.ts';
import type { AppError } from '../../../../src/core/errors.ts';
import { isAppError } from '../../../../src/core/errors.ts';
import { offerIdSchema } from '../../../../src/core/ids.ts';
import type { PodRequest, Provider } from '../../../../src/core/provider.ts';
import { createVastProvider } from '../../../../src/providers/vast/provider.ts';
import { ManualClock } from '../../../support/clock.ts';
import {
  type SeenRequest,
  type StubAnswer,
  type StubCloud,
  startStubCloud,
} from '../../../support/stub-cloud.ts';
import { contractRow, offerRow } from './rows.ts';

export const KEY = 'vast-key-0123456789abcdef';
export const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} me@here`;
export const OPTIONS: CallOptions = { signal: new AbortController().signal };
export const NOW = '2026-08-06T08:00:00.000Z';

/** "PUT /api/v0/asks/26913465/" or a beginning of it; the longest that fits answers. `nth` counts its calls from 1. */
export type Routes = Readonly<
  Record<string, StubAnswer | ((request: SeenRequest, nth: number) => StubAnswer)>
>;

const DEFAULTS: Routes = {
  'GET /api/v1/instances/': { json: { success: true, instances: [], next_token: null } },
  'POST /api/v0/bundles/': { json: { offers: [offerRow()] } },
  'PUT /api/v0/asks/': { json: { success: true, new_contract: 7835610 } },
  'GET /api/v0/instances/': { json: { instances: null } },
  'DELETE /api/v0/instances/': { json: { success: true } },
};

export interface Bench extends AsyncDisposable {
  readonly cloud: StubCloud;
  readonly provider: Provider;
  readonly clock: ManualClock;
  /** Bodies that went to a route, in order. */
  bodies(route: string): readonly Readonly<Record<string, unknown>>[];
  count(route: string): number;
}

/** The client against routes that the test writes, on a clock that waits for nobody. */
export async function openBench(routes: Routes = {}): Promise<Bench> {
  const all: Routes = { ...DEFAULTS, ...routes };
  const calls = new Map<string, number>();
  const cloud = await startStubCloud((request) => {
    const line = `${request.method} ${request.path}`;
    const [route = ''] = Object.keys(all)
      .filter((known) => line.startsWith(known))
      .sort((a, b) => b.length - a.length);
    const nth = (calls.get(route) ?? 0) + 1;
    calls.set(route, nth);
    const answer = all[route];
    if (answer === undefined) return { status: 404, text: '<html>nothing here</html>' };
    return typeof answer === 'function' ? answer(request, nth) : answer;
  });
  const clock = new ManualClock(NOW);
  const provider = createVastProvider({
    apiKey: KEY,
    baseUrl: cloud.url,
    clock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const of = (route: string) =>
    cloud.seen.filter(({ method, path }) => `${method} ${path}`.startsWith(route));
  return {
    cloud,
    provider,
    clock,
    bodies: (route) => of(route).map(({ body }) => body as Readonly<Record<string, unknown>>),
    count: (route) => of(route).length,
    [Symbol.asyncDispose]: async () => cloud[Symbol.asyncDispose](),
  };
}

export function request(changes: Partial<PodRequest> = {}): PodRequest {
  return {
    offerId: offerIdSchema.parse('vast:26913465'),
    label: 'gpl-1',
    diskGb: 64,
    sshPublicKey: PUBLIC_KEY,
    maxUsdPerHour: 0.4,
    deadlineAt: '2026-08-06T14:00:00.000Z',
    onExpiry: 'destroy',
    image: 'pytorch/pytorch',
    env: {},
    ports: [],
    ...changes,
  };
}

/** A page of the list, as the v1 endpoint answers it. */
export function page(...rows: readonly Readonly<Record<string, unknown>>[]): StubAnswer {
  return { json: { success: true, instances: rows, next_token: null } };
}
export const shown = (changes: Readonly<Record<string, unknown>> = {}): StubAnswer => ({
  json: { instances: contractRow(changes) },
});

export async function failureOf(work: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await work.then(
    (value) => new Error(`It worked: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!isAppError(thrown)) throw thrown;
  return thrown;
}
