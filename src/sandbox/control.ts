import { z } from 'zod';
import { isAppError } from '../core/errors.ts';
import { faultRuleSchema, type SandboxBooks } from '../core/sandbox.ts';
import type { SandboxClock } from './clock.ts';
import type { SandboxCloud } from './cloud.ts';
import type { FaultBook } from './faults.ts';
import { CONTROL_PREFIX, type FakeAnswer, type FakeRequest } from './http.ts';
import type { RequestLog } from './request-log.ts';

export interface ControlDeps {
  readonly clock: SandboxClock;
  readonly clouds: () => readonly SandboxCloud[];
  readonly faults: FaultBook;
  readonly log: RequestLog;
  readonly books: () => SandboxBooks;
}

const ROUTES = [
  'GET books',
  'GET instances',
  'GET requests?limit=N',
  'GET faults',
  'POST faults {kind, cloud?, offerId?, machineId?, route?, times?, skip?, afterSeconds?, value?} | [...] | {chaos}',
  'DELETE faults?id=ID',
  'POST advance {seconds}',
  'POST credit {usd}',
] as const;

const chaosSchema = z.strictObject({ chaos: z.number().min(0).max(1) });
const advanceSchema = z.object({ seconds: z.number().nonnegative().max(31_536_000) });
const creditSchema = z.object({ usd: z.number() });
const limitSchema = z.coerce.number().int().min(1).max(1000).catch(100);

/** What a person or a test in another process can see and do: JSON below `/_sandbox/` on every origin. */
export function createControl(
  deps: ControlDeps,
): (request: FakeRequest, cloudName: string) => Promise<FakeAnswer> {
  const { clock, clouds, faults, log, books } = deps;

  const order = async (request: FakeRequest, cloudName: string): Promise<unknown> => {
    const name = request.path.slice(CONTROL_PREFIX.length).replace(/\/$/, '');
    switch (`${request.method} ${name}`) {
      case 'GET ':
        return { routes: ROUTES };
      case 'GET books':
        return books();
      case 'GET instances':
        return { instances: books().clouds.flatMap(({ instances }) => instances) };
      case 'GET requests': {
        const limit = limitSchema.parse(request.query.get('limit') ?? 100);
        return { total: log.total(), requests: log.last(limit) };
      }
      case 'GET faults':
        return { faults: faults.list(), kinds: faults.kinds() };
      case 'POST faults': {
        const chaos = chaosSchema.safeParse(request.body);
        if (chaos.success) {
          faults.setChaos(chaos.data.chaos);
          return { chaos: chaos.data.chaos };
        }
        const rules = z
          .union([z.array(faultRuleSchema), faultRuleSchema.transform((rule) => [rule])])
          .parse(request.body);
        return { faults: rules.map((rule) => faults.add(rule)) };
      }
      case 'DELETE faults':
        return { ended: faults.clear(request.query.get('id') ?? undefined) };
      case 'POST advance':
        await clock.advance(advanceSchema.parse(request.body).seconds);
        return { nowSeconds: clock.nowSeconds() };
      case 'POST credit': {
        const cloud = clouds().find((one) => one.name === cloudName);
        cloud?.addCredit(creditSchema.parse(request.body).usd);
        return { creditUsd: cloud?.creditUsd() };
      }
      default:
        return undefined;
    }
  };

  return async (request, cloudName) => {
    try {
      const body = await order(request, cloudName);
      if (body !== undefined) return { status: 200, body };
      return refusal(404, 'There is no such route.', ROUTES.join('\n'));
    } catch (failure) {
      if (failure instanceof z.ZodError)
        return refusal(400, 'The body is not what this route takes.', z.prettifyError(failure));
      if (isAppError(failure)) return refusal(400, failure.message, failure.hint);
      throw failure;
    }
  };
}

function refusal(status: number, message: string, hint: string): FakeAnswer {
  return { status, body: { error: { message, hint } } };
}
