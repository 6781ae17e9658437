import { systemClock } from '../../../../src/core/call.ts';
import type { BookedInstance, FaultRule } from '../../../../src/core/sandbox.ts';
import { createSandboxClock, type SandboxClock } from '../../../../src/sandbox/clock.ts';
import { createFaultBook, type FaultBook } from '../../../../src/sandbox/faults.ts';
import type { FakeAnswer } from '../../../../src/sandbox/http.ts';
import { createMeter, type Meter } from '../../../../src/sandbox/meter.ts';
import { createNoMachines } from '../../../../src/sandbox/no-machines.ts';
import { createRandom } from '../../../../src/sandbox/random.ts';
import { createRunpodCloud, type RunpodCloud } from '../../../../src/sandbox/runpod/cloud.ts';
import { RUNPOD_FAULTS } from '../../../../src/sandbox/runpod/fault-kinds.ts';
import { DEFAULT_OPTIONS, type RunpodOptions } from '../../../../src/sandbox/runpod/options.ts';

export const KEY = DEFAULT_OPTIONS.apiKey;
export const START = 1_795_000_000;
export const RTX_4090 = 'NVIDIA GeForce RTX 4090';
export type Loose = Record<string, unknown>;

export interface BenchOptions {
  readonly options?: Partial<RunpodOptions>;
  readonly faults?: readonly FaultRule[];
  readonly creditUsd?: number;
}
export interface GraphqlAnswer {
  readonly status: number;
  readonly data: Loose | undefined;
  readonly errors: readonly { message: string; extensions: { code: string } }[] | undefined;
  readonly body: Loose;
}
export interface Bench extends AsyncDisposable {
  readonly cloud: RunpodCloud;
  readonly clock: SandboxClock;
  readonly meter: Meter;
  readonly book: FaultBook;
  graphql(query: string, variables?: Loose, key?: string | null): Promise<GraphqlAnswer>;
  /** `line`: "GET /v2/pods". `key` null: none is sent. */
  rest(
    line: string,
    body?: unknown,
    more?: { readonly key?: string | null; readonly rawBody?: string },
  ): Promise<FakeAnswer & { readonly body: Loose }>;
  /** Rents over GraphQL and answers the id. */
  create(input?: Loose): Promise<string>;
  /** The pod over GraphQL. */
  pod(id: string): Promise<Loose | null>;
  booked(id: string): BookedInstance;
}

export const POD_FIELDS =
  'id desiredStatus lastStatusChange costPerHr env ports podType machineId machine { podHostId } runtime { uptimeInSeconds ports { ip isIpPublic privatePort publicPort type } }';

/** A fake RunPod whose time stands still until it is turned, asked in process. */
export function openBench({ options, faults = [], creditUsd }: BenchOptions = {}): Bench {
  const clock = createSandboxClock({ clock: systemClock, speed: 0, startSeconds: START });
  const meter = createMeter(clock);
  const book = createFaultBook({ clock, seed: 7, kinds: () => ({ runpod: RUNPOD_FAULTS }) });
  for (const rule of faults) book.add(rule);
  const cloud = createRunpodCloud({
    clock,
    machines: createNoMachines(),
    meter,
    faults: book.of('runpod'),
    seed: 7,
    random: createRandom(7),
    origin: () => 'http://127.0.0.1:1',
    creditUsd,
    options: { bootSeconds: 60, ...options },
  });

  const rest: Bench['rest'] = async (line, body, more = {}) => {
    const [method = 'GET', target = '/'] = line.split(' ');
    const url = new URL(target, 'http://127.0.0.1:1');
    const { key = KEY } = more;
    const made = await cloud.handle({
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: key === null ? {} : { authorization: `Bearer ${key}` },
      body,
      rawBody: more.rawBody ?? (body === undefined ? '' : JSON.stringify(body)),
    });
    return { ...made, body: made.body as Loose };
  };
  const graphql: Bench['graphql'] = async (query, variables = {}, key = KEY) => {
    const { status, body } = await rest('POST /graphql', { query, variables }, { key });
    // A refused key is answered with plain text.
    const { data, errors } = ((body as unknown) ?? {}) as Pick<GraphqlAnswer, 'data' | 'errors'>;
    // As a client gets it: plain JSON.
    return JSON.parse(JSON.stringify({ status, data, errors, body })) as GraphqlAnswer;
  };
  return {
    cloud,
    clock,
    meter,
    book,
    rest,
    graphql,
    async create(input = {}) {
      const { data, errors } = await graphql(
        'mutation Deploy($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id } }',
        { input: { ...ORDER, ...input } },
      );
      const made = data?.['podFindAndDeployOnDemand'] as Loose | null | undefined;
      if (typeof made?.['id'] !== 'string') throw new Error(JSON.stringify(errors));
      return made['id'];
    },
    async pod(id) {
      const { data } = await graphql(
        `query Status($id: String!) { pod(input: { podId: $id }) { ${POD_FIELDS} } }`,
        { id },
      );
      return (data?.['pod'] ?? null) as Loose | null;
    },
    booked(id) {
      const line = cloud.books().find((one) => one.id === id);
      if (line === undefined) throw new Error('not in the books');
      return line;
    },
    async [Symbol.asyncDispose]() {
      clock[Symbol.dispose]();
      await cloud[Symbol.asyncDispose]();
    },
  };
}

export const ORDER = {
  cloudType: 'SECURE',
  gpuTypeId: RTX_4090,
  gpuCount: 1,
  imageName: 'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404',
  name: 'trainer-1',
  containerDiskInGb: 40,
  volumeInGb: 100,
  ports: '22/tcp,8888/http',
  startSsh: true,
  env: [{ key: 'SSH_USER', value: 'root' }],
} as const;
