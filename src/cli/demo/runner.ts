import { rm } from 'node:fs/promises';
import type { z } from 'zod';
import type { Clock } from '../../core/call.ts';
import type { Output } from '../output.ts';
import { readAnswer } from './answer.ts';
import { createDisplay, type HeldPromise, heldPromise } from './display.ts';
import { listResult } from './results.ts';
import type { DemoServer, OpenServer, ServerSpec } from './server.ts';
import { buildStage, leftovers, type Stage } from './stage.ts';
import { check, type Day, ExpectationError, type FactName, type Step } from './step.ts';

export interface Demo {
  readonly steps: readonly Step[];
  readonly open: OpenServer;
  readonly spec: Omit<ServerSpec, 'home' | 'workspace' | 'onLog'>;
  readonly example: { readonly folder: string; readonly name: string };
  readonly out: Output;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Leaves state and results where they are, and says where. */
  readonly keep: boolean;
}

const CLEAN_UP_LIMIT_MS = 90_000;
const LOG_TAIL_CHARS = 2000;

/**
 * Plays the steps in order. True: every expectation came true and nothing is left. Else the failure is shown, and the
 * pods are destroyed all the same, also after Ctrl-C.
 */
export async function runDemo(demo: Demo): Promise<boolean> {
  const { clock, signal } = demo;
  const display = createDisplay(demo.out);
  const began = clock.now().getTime();
  const since = (start: number): number => (clock.now().getTime() - start) / 1000;
  const stage = await buildStage(demo.example.folder, demo.example.name);
  const held: HeldPromise[] = [];
  const facts = new Map<FactName, string>();
  let log = '';
  let current: DemoServer | undefined;

  const start = async (until: AbortSignal): Promise<DemoServer> => {
    const onLog = (text: string): void => {
      log = `${log}${text}`.slice(-LOG_TAIL_CHARS);
    };
    const { home, workspace } = stage;
    current = await demo.open({ ...demo.spec, home, workspace, onLog }, { signal: until });
    return current;
  };
  const call = async <T extends z.ZodType>(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    schema: T,
  ): Promise<z.output<T>> => {
    if (current === undefined) throw new ExpectationError('a server that runs');
    const started = clock.now().getTime();
    const title = current.tools.find(({ name }) => name === tool)?.title;
    const progress = (message: string): void => {
      // The first notice only names the tool.
      if (message !== title) display.progress(message);
    };
    const answer = await current.call(tool, input, { signal, progress });
    const read = readAnswer(tool, answer, schema);
    const typed = input['input'] ?? input['command'];
    display.call({
      tool,
      seconds: since(started),
      summary: read.summary,
      typed: typeof typed === 'string' ? typed : undefined,
    });
    return read.data;
  };

  let ok = false;
  try {
    const first = await start(signal);
    const { protocol, tools } = first;
    display.opening({ version: demo.spec.version, protocol, tools: tools.length });
    for (const [index, step] of demo.steps.entries()) {
      signal.throwIfAborted();
      const started = clock.now().getTime();
      display.step(index + 1, demo.steps.length, step.title);
      await step.run(dayOf(current ?? first));
      display.stepDone(since(started));
    }
    await current?.close();
    const left = await leftovers(stage, clock, signal);
    check(left.folders.length === 0, 'no folder of a pod is left');
    check(left.processes.length === 0, 'no process of a pod is left');
    ok = true;
  } catch (thrown) {
    display.failed(signal.aborted ? 'to go on; it was interrupted' : reasonOf(thrown), log);
  }
  if (!ok) await putAway(stage);
  if (!demo.keep) await rm(stage.root, { recursive: true, force: true });
  held.sort((a, b) => a.promise - b.promise);
  display.closing({
    ok,
    seconds: since(began),
    held,
    costUsd: facts.get('costUsd'),
    keptAt: demo.keep ? stage.root : undefined,
  });
  return ok;

  function dayOf(server: DemoServer): Day {
    return {
      server,
      workspace: stage.workspace,
      clock,
      signal,
      call,
      say: (text) => {
        display.say(text);
      },
      held: (promise, evidence) => {
        held.push(heldPromise(promise, evidence));
        display.held(heldPromise(promise, evidence));
      },
      remember: (name, value) => {
        facts.set(name, value);
      },
      recall: (name) => {
        const value = facts.get(name);
        check(value !== undefined, `an earlier step found out the ${name}`);
        return value;
      },
      restart: async () => {
        await start(signal);
      },
    };
  }

  /** Whatever went wrong: no pod is left behind. First in order, through the server; then by hand. */
  async function putAway({ home }: Stage): Promise<void> {
    const limit = AbortSignal.timeout(CLEAN_UP_LIMIT_MS);
    try {
      await current?.close();
      const server = await start(limit);
      const answer = await server.call('list_pods', {}, { signal: limit });
      for (const { podId } of readAnswer('list_pods', answer, listResult).data.pods) {
        const reason = 'The demo was cut short.';
        const input = { podId, discardUnfetched: true, reason, waitSeconds: 40 };
        await server.call('destroy', input, { signal: limit });
      }
      await server.close();
    } catch (thrown) {
      demo.out.note(`Cleaning up through the server failed: ${reasonOf(thrown)}`);
    }
    const { processes } = await leftovers(stage, clock, limit).catch(() => ({ processes: [] }));
    for (const pid of processes) endByHand(pid);
    demo.out.note(
      processes.length === 0
        ? 'The pods of the demo were destroyed; nothing is left running.'
        : `Ended ${processes.length} processes that ran for ${home}.`,
    );
  }
}

/** Only processes whose environment names the demo's own folder get here. */
function endByHand(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : 'something unexpected';
}
