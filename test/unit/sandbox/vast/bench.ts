import { systemClock } from '../../../../src/core/call.ts';
import type { BookedInstance, FaultRule } from '../../../../src/core/sandbox.ts';
import { createSandboxClock, type SandboxClock } from '../../../../src/sandbox/clock.ts';
import { createFaultBook, type FaultBook } from '../../../../src/sandbox/faults.ts';
import type { FakeAnswer } from '../../../../src/sandbox/http.ts';
import { createMeter, type Meter } from '../../../../src/sandbox/meter.ts';
import { createNoMachines } from '../../../../src/sandbox/no-machines.ts';
import { createRandom } from '../../../../src/sandbox/random.ts';
import {
  createVastCloud,
  type VastCloud,
  type VastCloudDeps,
} from '../../../../src/sandbox/vast/cloud.ts';
import { VAST_FAULTS } from '../../../../src/sandbox/vast/fault-kinds.ts';
import type { VastOptions } from '../../../../src/sandbox/vast/options.ts';

export const KEY = 'vast-sandbox-key';
export const START = 1_786_000_000;
export type Loose = Record<string, unknown>;

export interface BenchOptions {
  readonly options?: Partial<VastOptions>;
  readonly faults?: readonly FaultRule[];
  readonly offers?: number;
  readonly seed?: number;
  readonly creditUsd?: number;
  readonly machines?: VastCloudDeps['machines'];
}

export interface Bench extends AsyncDisposable {
  readonly cloud: VastCloud;
  readonly clock: SandboxClock;
  readonly meter: Meter;
  readonly book: FaultBook;
  /** `line`: "GET /api/v0/ssh/". `key` null: none is sent. */
  raw(line: string, body?: unknown, more?: RawOptions): Promise<FakeAnswer>;
  /** The JSON of the answer, whatever its status. */
  json(line: string, body?: unknown): Promise<Loose>;
  search(body?: Loose): Promise<Loose[]>;
  /** Id of the cheapest offer that passes. */
  cheapest(body?: Loose): Promise<number>;
  /** Rents the cheapest that offers direct SSH, as our client asks for it. */
  create(body?: Loose, offerId?: number): Promise<number>;
  show(id: number): Promise<Loose>;
  booked(id: number): BookedInstance;
  advance(seconds: number): Promise<void>;
}
interface RawOptions {
  readonly key?: string | null;
  readonly rawBody?: string;
}

/** A fake Vast.ai whose time stands still until it is turned, asked in process. */
export function openBench({
  options,
  faults = [],
  offers,
  seed = 7,
  creditUsd,
  machines = createNoMachines(),
}: BenchOptions = {}): Bench {
  const clock = createSandboxClock({ clock: systemClock, speed: 0, startSeconds: START });
  const meter = createMeter(clock);
  const book = createFaultBook({ clock, seed, kinds: () => ({ vast: VAST_FAULTS }) });
  for (const rule of faults) book.add(rule);
  const cloud = createVastCloud({
    clock,
    machines,
    meter,
    faults: book.of('vast'),
    seed,
    offers,
    random: createRandom(seed),
    origin: () => 'http://127.0.0.1:1',
    creditUsd,
    options: { bootSeconds: 60, ...options },
  });

  const raw = async (line: string, body?: unknown, more: RawOptions = {}): Promise<FakeAnswer> => {
    const [method = 'GET', target = '/'] = line.split(' ');
    const url = new URL(target, 'http://127.0.0.1:1');
    const { key = KEY } = more;
    return cloud.handle({
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: key === null ? {} : { authorization: `Bearer ${key}` },
      body,
      rawBody: more.rawBody ?? (body === undefined ? '' : JSON.stringify(body)),
    });
  };
  const json = async (line: string, body?: unknown): Promise<Loose> =>
    (await raw(line, body)).body as Loose;
  const search = async (body: Loose = {}): Promise<Loose[]> =>
    (await json('POST /api/v0/bundles/', body))['offers'] as Loose[];
  const cheapest = async (body: Loose = {}): Promise<number> => {
    const [first] = await search({ order: [['dph_total', 'asc']], ...body });
    return first?.['id'] as number;
  };
  const create = async (body: Loose = {}, offerId?: number): Promise<number> => {
    const id =
      offerId ??
      (await cheapest({
        direct_port_count: { gte: 2 },
        disk_space: { gte: 200 },
        end_date: { gte: START + 30 * 86_400 },
      }));
    const answer = await json(`PUT /api/v0/asks/${id}/`, {
      image: 'pytorch/pytorch',
      disk: 64,
      runtype: 'ssh_direct',
      label: 'job-1',
      target_state: 'running',
      cancel_unavail: true,
      ...body,
    });
    return answer['new_contract'] as number;
  };
  const show = async (id: number): Promise<Loose> =>
    (await json(`GET /api/v0/instances/${id}/`))['instances'] as Loose;
  const booked = (id: number): BookedInstance => {
    const line = cloud.books().find((one) => one.id === String(id));
    if (line === undefined) throw new Error('not in the books');
    return line;
  };
  return {
    cloud,
    clock,
    meter,
    book,
    raw,
    json,
    search,
    cheapest,
    create,
    show,
    booked,
    advance: async (seconds: number) => clock.advance(seconds),
    async [Symbol.asyncDispose]() {
      clock[Symbol.dispose]();
      await cloud[Symbol.asyncDispose]();
    },
  };
}
