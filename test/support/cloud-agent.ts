import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import type { Clock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { SandboxBooks, SandboxOptions } from '../../src/core/sandbox.ts';
import type { SandboxClock } from '../../src/sandbox/clock.ts';
import type { FaultBook } from '../../src/sandbox/faults.ts';
import { TOOLS } from '../../src/tools/index.ts';
import { startOwnClock } from './clock.ts';
import { startLambdaSandbox } from './lambda-sandbox.ts';
import { podProgram } from './pod-program.ts';
import { startRunpodSandbox } from './runpod-sandbox.ts';
import type { Step } from './vast-agent.ts';

interface FakeCloud extends AsyncDisposable {
  readonly clock: SandboxClock;
  readonly faults: FaultBook;
  books(): SandboxBooks['clouds'][number];
}
export type CloudName = 'runpod' | 'lambda';

export interface CloudBench extends AsyncDisposable {
  readonly cloud: FakeCloud;
  readonly clock: Clock;
  readonly trail: readonly Step[];
  call(tool: string, args?: Readonly<Record<string, unknown>>): Promise<Step>;
  /** The most machines that were charged at one moment. */
  mostBilling(): number;
  billing(): readonly string[];
}

async function startCloud(
  name: CloudName,
  options: SandboxOptions & { readonly clock?: Clock },
): Promise<FakeCloud & { readonly variables: Readonly<Record<string, string>> }> {
  if (name === 'runpod') return startRunpodSandbox(options);
  const cloud = await startLambdaSandbox(options);
  return Object.assign(cloud, {
    variables: { LAMBDA_API_KEY: cloud.apiKey, LAMBDA_API_URL: cloud.url },
  });
}

/**
 * The whole program in this process, its tools called as the MCP layer calls them, against a fake RunPod or Lambda whose time
 * runs `speed` times as fast, as that of the program does. Its rounds of care run as in the server.
 */
export async function openCloudBench(
  name: CloudName,
  options: SandboxOptions = {},
): Promise<CloudBench> {
  const speed = options.speed ?? 60;
  const root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-agent-'));
  const workspace = path.join(root, 'workspace');
  await mkdir(workspace);
  let most = 0;
  const look = (): void => {
    most = Math.max(most, cloud.books().billingCount);
  };
  const own = startOwnClock();
  const cloud = await startCloud(name, {
    clock: own,
    offers: 60,
    machines: 'none',
    ...options,
    speed,
    onRequest: look,
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
      ...cloud.variables,
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
    async call(toolName, args = {}) {
      const tool = TOOLS.find((one) => one.name === toolName);
      if (tool === undefined) throw new Error(`There is no tool ${toolName}.`);
      const context = {
        ...app.services,
        signal: new AbortController().signal,
        progress: () => undefined,
        ask: async () => Promise.resolve('unavailable' as const),
      };
      const step = await tool.handle(tool.input.parse(args), context).then(
        (answer): Step => ({
          tool: toolName,
          args,
          isError: false,
          data: tool.output.parse(answer),
        }),
        (failure: unknown): Step => {
          if (!isAppError(failure)) throw failure;
          const { code, message, hint, retryable } = failure;
          return {
            tool: toolName,
            args,
            isError: true,
            data: { code, message, hint, retryable },
          };
        },
      );
      trail.push(step);
      look();
      return step;
    },
    mostBilling: () => most,
    billing: () =>
      cloud
        .books()
        .instances.filter(({ billing }) => billing)
        .map(({ id }) => id),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      own[Symbol.dispose]();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
      if (failures.length > 0) throw new AggregateError(failures, 'A round of care failed.');
    },
  };
}
