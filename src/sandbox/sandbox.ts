import { Disposer } from '../core/disposer.ts';
import type {
  CloudBooks,
  FaultKind,
  Sandbox,
  SandboxBooks,
  SandboxOptions,
  SandboxProgram,
} from '../core/sandbox.ts';
import { createSandboxClock, type SandboxClock } from './clock.ts';
import type { SandboxCloud } from './cloud.ts';
import { createControl } from './control.ts';
import { createFaultBook, type FaultBook, type Faults } from './faults.ts';
import { serveClouds } from './http.ts';
import { createMachines, type SandboxMachines } from './machines.ts';
import { createMeter, type Meter } from './meter.ts';
import { createNoMachines } from './no-machines.ts';
import { createRandom } from './random.ts';
import { createRequestLog } from './request-log.ts';
import { openRun, type RunsDeps, sweepRuns } from './runs.ts';

/** What a fake cloud is made of. */
export interface CloudParts {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly seed: number;
  readonly offers?: number | undefined;
  readonly random: () => number;
  /** Known as soon as the first request comes. */
  readonly origin: () => string;
  readonly apiKey?: string | undefined;
  readonly creditUsd?: number | undefined;
}
/** One line of the list of clouds. */
export interface CloudMaker {
  readonly name: string;
  readonly faultKinds: readonly FaultKind[];
  make(parts: CloudParts): SandboxCloud;
}

export interface SandboxDeps extends RunsDeps {
  readonly clouds: readonly CloudMaker[];
  readonly searchPath: string;
  readonly onFailure?: (failure: unknown) => void;
}
export interface OpenSandbox extends Sandbox {
  readonly clock: SandboxClock;
  readonly faults: FaultBook;
  readonly clouds: readonly SandboxCloud[];
  readonly machines: SandboxMachines;
}

interface OpenSandboxProgram extends SandboxProgram {
  open(options: SandboxOptions): Promise<OpenSandbox>;
}

const DEFAULT_SEED = 1;

/** The sandbox as a program: what it can do, and how to start it. */
export function createSandboxProgram(deps: SandboxDeps): OpenSandboxProgram {
  return {
    faultKinds: deps.clouds.flatMap(({ name, faultKinds }) =>
      faultKinds.map((kind) => ({ ...kind, cloud: name })),
    ),
    open: async (options) => openSandbox(deps, options),
  };
}

async function openSandbox(deps: SandboxDeps, options: SandboxOptions): Promise<OpenSandbox> {
  const disposer = new Disposer();
  try {
    return await build(deps, options, disposer);
  } catch (failure) {
    await disposer[Symbol.asyncDispose]();
    throw failure;
  }
}

async function build(
  deps: SandboxDeps,
  options: SandboxOptions,
  disposer: Disposer,
): Promise<OpenSandbox> {
  const { onFailure = deps.onFailure } = options;
  const failures = onFailure === undefined ? {} : { onFailure };
  const swept = await sweepRuns(deps);
  const run = await openRun(deps);
  disposer.add(async () => run.close());
  const clock = createSandboxClock({ clock: deps.clock, speed: options.speed ?? 1, ...failures });
  const { machines, count } = counted(
    options.machines === 'none'
      ? createNoMachines()
      : createMachines({
          pods: run.pods,
          folder: run.folder,
          clock: deps.clock,
          searchPath: deps.searchPath,
          ...(options.machineSeconds === undefined
            ? {}
            : { deadlineSeconds: options.machineSeconds }),
          ...failures,
        }),
  );
  disposer.use(machines);
  disposer.add(() => {
    clock[Symbol.dispose]();
  });
  const seed = options.seed ?? DEFAULT_SEED;
  const faults = createFaultBook({
    clock,
    seed,
    chaos: options.chaos ?? 0,
    kinds: () => Object.fromEntries(deps.clouds.map(({ name, faultKinds }) => [name, faultKinds])),
  });
  for (const rule of options.faults ?? []) faults.add(rule);
  const meters = new Map<string, Meter>();
  const clouds = deps.clouds.map((maker) => {
    const { name } = maker;
    const meter = createMeter(clock);
    meters.set(name, meter);
    const cloud = maker.make({
      clock,
      machines,
      meter,
      faults: faults.of(name),
      seed,
      offers: options.offers,
      random: createRandom(options.draw ?? seed),
      origin: () => served.urlOf(name),
      apiKey: options.apiKey,
      creditUsd: options.creditUsd,
    });
    disposer.add(async () => cloud[Symbol.asyncDispose]());
    return cloud;
  });
  const books = (): SandboxBooks => ({
    nowSeconds: clock.nowSeconds(),
    speed: clock.speed,
    clouds: clouds.map((cloud) => booksOf(cloud, meters.get(cloud.name))),
  });
  const log = createRequestLog(clock, options.onRequest);
  const control = createControl({ clock, clouds: () => clouds, faults, log, books });
  const served = disposer.use(
    await serveClouds(clouds, { port: options.port ?? 0, log, clock, control, ...failures }),
  );
  const origins = clouds.map((cloud) => ({
    cloud: cloud.name,
    url: served.urlOf(cloud.name),
    variables: cloud.variables(),
  }));
  let ending: Promise<number> | undefined;
  const end = async (): Promise<number> =>
    (ending ??= (async () => {
      const living = count();
      await disposer[Symbol.asyncDispose]();
      return living;
    })());
  return {
    origins,
    folder: run.folder,
    swept,
    clock,
    faults,
    clouds,
    machines,
    books,
    requests: (limit) => log.last(limit),
    addFault: (rule) => {
      faults.add(rule);
    },
    advance: async (seconds) => clock.advance(seconds),
    end,
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
}

function booksOf(cloud: SandboxCloud, meter: Meter | undefined): CloudBooks {
  const instances = cloud.books();
  const billing = meter?.billing() ?? [];
  return {
    cloud: cloud.name,
    instances,
    usdPerHour: billing.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0),
    spentUsd: meter?.spentUsd() ?? 0,
    creditUsd: cloud.creditUsd(),
    billingCount: billing.length,
  };
}

/** Knows how many machines there are now. */
function counted(machines: SandboxMachines): {
  readonly machines: SandboxMachines;
  readonly count: () => number;
} {
  const living = new Set<string>();
  return {
    count: () => living.size,
    machines: {
      ...machines,
      async start(spec) {
        await machines.start(spec);
        living.add(spec.id);
      },
      async destroy(id) {
        await machines.destroy(id);
        living.delete(id);
      },
      [Symbol.asyncDispose]: async () => machines[Symbol.asyncDispose](),
    },
  };
}
