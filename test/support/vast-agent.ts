import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import type { Clock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { Redactor } from '../../src/core/redact.ts';
import { TOOLS } from '../../src/tools/index.ts';
import { startOwnClock } from './clock.ts';
import { podProgram } from './pod-program.ts';
import { startVastSandbox, type VastSandbox, type VastSandboxOptions } from './vast-sandbox.ts';

/** One call of a tool and what it answered. */
export interface Step {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  /** The structured answer, or code, message and hint. */
  readonly data: Readonly<Record<string, unknown>>;
}
interface NextCall {
  readonly tool: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

export interface AgentBench extends AsyncDisposable {
  readonly cloud: VastSandbox;
  readonly clock: Clock;
  /** Offers that the agent orders from, in order, once it has found them. */
  readonly trail: readonly Step[];
  call(tool: string, args?: Readonly<Record<string, unknown>>): Promise<Step>;
  /** The most machines that were charged at one moment. */
  mostBilling(): number;
  billing(): readonly string[];
}

/**
 * The whole program in this process, its tools called as the MCP layer calls them, against a fake Vast.ai whose time runs
 * `speed` times as fast, as that of the program does. Its rounds of care run as in the server.
 */
export async function openAgentBench(
  options: VastSandboxOptions & { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<AgentBench> {
  const speed = options.speed ?? 40;
  const root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-agent-'));
  const workspace = path.join(root, 'workspace');
  await mkdir(workspace);
  let most = 0;
  const own = startOwnClock();
  const cloud = await startVastSandbox({
    clock: own,
    offers: 60,
    machines: 'none',
    ...options,
    speed,
    onRequest: () => {
      most = Math.max(most, cloud.books().billingCount);
    },
  });
  const clock: Clock = {
    now: () => new Date(cloud.clock.nowSeconds() * 1000),
    sleep: async (seconds, call) => own.sleep(seconds / speed, call),
  };
  const app = createApp(
    readConfig({
      PATH: process.env['PATH'],
      HOME: root,
      GPU_LEASE_HOME: path.join(root, 'home'),
      GPU_LEASE_WORKSPACE: workspace,
      VAST_API_KEY: cloud.apiKey,
      VAST_URL: cloud.url,
      ...options.env,
    }),
    {
      podProgram: await podProgram(),
      mainProgram: path.join(root, 'not-started.js'),
      skillsFolder: path.resolve(import.meta.dirname, '../../skills'),
    },
    new Redactor(),
    clock,
  );
  const failures: unknown[] = [];
  app.watch((failure) => failures.push(failure));
  const trail: Step[] = [];
  return {
    cloud,
    clock,
    trail,
    async call(name, args = {}) {
      const tool = TOOLS.find((one) => one.name === name);
      if (tool === undefined) throw new Error(`There is no tool ${name}.`);
      const { signal } = new AbortController();
      const context = {
        ...app.services,
        signal,
        progress: () => undefined,
        ask: async () => Promise.resolve('unavailable' as const),
      };
      const step = await tool.handle(tool.input.parse(args), context).then(
        (answer): Step => ({ tool: name, args, isError: false, data: tool.output.parse(answer) }),
        (failure: unknown): Step => {
          if (!isAppError(failure)) throw failure;
          const { code, message, hint, retryable } = failure;
          return { tool: name, args, isError: true, data: { code, message, hint, retryable } };
        },
      );
      trail.push(step);
      most = Math.max(most, cloud.books().billingCount);
      return step;
    },
    mostBilling: () => most,
    billing: () =>
      cloud
        .books()
        .instances.filter(({ billing }) => billing)
        .map(({ id }) => `vast:${id}`),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      own[Symbol.dispose]();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
      if (failures.length > 0) throw new AggregateError(failures, 'A round of care failed.');
    },
  };
}

export interface Errand {
  /** What the agent wants before it ends all: a pod that is ready, the first one rented, or one in the place of another. */
  readonly wants: 'ready' | 'rented' | 'replaced';
  /** What is asked of find_offer; absent: what suits Vast.ai. */
  readonly search?: Readonly<Record<string, unknown>>;
  /** Terms of create_pod beside its offers. */
  readonly terms?: Readonly<Record<string, unknown>>;
  /** Called before the first call, before the quote, before the order, and as soon as a pod is rented. */
  readonly before?: (moment: ErrandMoment, offerIds: readonly string[]) => Promise<void> | void;
}
export type ErrandMoment = 'find' | 'quote' | 'order' | 'rented' | 'end';

const MOST_CALLS = 60;
/** The person looks away while nothing happens. */
const AWAY_SECONDS = 600;

/**
 * An agent that knows nothing but what the tools tell it: it follows the first suggestion, repeats what may be repeated, asks
 * list_pods after any other error, and stops when that shows nothing of ours. Answers with all its steps; throws when it was
 * never told that nothing is left.
 */
export async function runErrand(
  bench: Pick<AgentBench, 'call' | 'clock' | 'trail'> & {
    readonly cloud: { readonly clock: Pick<AgentBench['cloud']['clock'], 'advance'> };
  },
  errand: Errand,
): Promise<readonly Step[]> {
  const find: NextCall = {
    tool: 'find_offer',
    arguments: errand.search ?? {
      providers: ['vast'],
      minReliability: 0,
      minVramGb: 8,
      diskGb: 16,
      vastQuery: 'verified=any direct_port_count>=1 cuda_max_good>=12.4',
    },
  };
  let todo: NextCall = find;
  let offerIds: readonly string[] = [];
  let isEnding = false;
  let firstPodId: string | undefined;
  await errand.before?.('find', offerIds);
  for (let calls = 0; calls < MOST_CALLS; calls += 1) {
    const asked = todo;
    const step = await bench.call(asked.tool, asked.arguments ?? {});
    const pod = step.data['pod'] as { podId: string; status: string } | undefined;
    const next = (step.data['next'] ?? []) as readonly NextCall[];
    if (step.isError) {
      todo =
        step.data['retryable'] === true && asked.tool !== 'create_pod'
          ? asked
          : { tool: 'list_pods' };
      isEnding ||= asked.tool === 'create_pod';
      await bench.clock.sleep(30, { signal: new AbortController().signal });
      continue;
    }
    if (asked.tool === 'find_offer') {
      offerIds = ((step.data['offers'] ?? []) as readonly { offerId: string }[])
        .map(({ offerId }) => offerId)
        .slice(0, 3);
      if (offerIds.length === 0) {
        await bench.clock.sleep(30, { signal: new AbortController().signal });
        continue;
      }
      await errand.before?.('quote', offerIds);
      todo = { tool: 'create_pod', arguments: { offerIds, diskGb: 16, ...errand.terms } };
      continue;
    }
    if (step.data['status'] === 'needs_confirmation') {
      await errand.before?.('order', offerIds);
      // A short wait, so that what follows is seen in calls of its own.
      const wait = errand.wants === 'ready' ? 45 : 0;
      todo = {
        tool: 'create_pod',
        arguments: { ...next[0]?.arguments, waitSeconds: wait },
      };
      continue;
    }
    if (pod !== undefined && firstPodId === undefined && asked.tool === 'create_pod') {
      firstPodId = pod.podId;
      await errand.before?.('rented', offerIds);
    }
    const isReached =
      pod !== undefined &&
      (pod.status === 'ready' ||
        errand.wants === 'rented' ||
        (errand.wants === 'replaced' && pod.podId !== firstPodId));
    const isOver = step.data['status'] === 'failed' || next[0]?.tool === 'find_offer';
    if (!isEnding && (isReached || isOver)) {
      isEnding = true;
      await errand.before?.('end', offerIds);
      todo = { tool: 'list_pods' };
      continue;
    }
    if (asked.tool === 'list_pods') {
      const ours = ((step.data['pods'] ?? []) as readonly { podId: string; mode: string }[]).filter(
        ({ mode }) => mode === 'managed',
      );
      const isLeft = ours.length > 0;
      const isKnown = ((step.data['providers'] ?? []) as readonly { ok: boolean }[]).every(
        ({ ok }) => ok,
      );
      if (!isLeft && isKnown) return bench.trail;
      if (!isLeft) {
        await bench.clock.sleep(30, { signal: new AbortController().signal });
        continue;
      }
      // It was asked for to end everything, so a pod that may still come up is not waited for.
      todo = next.find(({ tool }) => tool === 'destroy') ?? {
        tool: 'destroy',
        arguments: { podId: ours[0]?.podId },
      };
      continue;
    }
    if (asked.tool === 'get_pod' && step.data['reached'] === false)
      await bench.cloud.clock.advance(AWAY_SECONDS);
    if (isEnding) todo = next.find(({ tool }) => tool === 'destroy') ?? { tool: 'list_pods' };
    else todo = next[0] ?? { tool: 'list_pods' };
    if (todo.tool === 'report' || todo.tool === 'sync_files') todo = { tool: 'list_pods' };
  }
  throw new Error(`The tools never said that nothing is left: ${briefly(bench.trail)}`);
}

/** The steps, one a line. */
export function briefly(trail: readonly Step[]): string {
  return trail
    .map(({ tool, args, isError, data }) => {
      const words = isError
        ? `${String(data['code'])}: ${String(data['message'])}`
        : String(data['summary']);
      return `\n  ${tool} ${JSON.stringify(args).slice(0, 90)} -> ${words.slice(0, 260)}`;
    })
    .join('');
}
