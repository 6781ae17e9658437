import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Port } from './port.ts';

/**
 * Its heap; what flows through it lies outside. A list of 100,000 files takes about 200 MB of it, and more than this ends
 * the thread and not the server.
 */
const MAX_HEAP_MB = 1024;
const MAX_YOUNG_MB = 16;

/** What the worker's program is told when it starts. */
export const threadDataSchema = z.object({
  home: z.string(),
  workspace: z.string(),
  stateFile: z.string(),
  agentSocket: z.string().optional(),
});
export type ThreadData = z.output<typeof threadDataSchema>;

export interface Thread {
  readonly port: Port;
  /** Why it ended. */
  readonly ended: Promise<Error>;
  /** Whether it keeps the process alive. */
  hold(isHeld: boolean): void;
  end(): Promise<void>;
}

/** `environment` is all that the thread, and what it starts, sees of ours. */
export function startThread(
  file: string,
  data: ThreadData,
  environment: Readonly<Record<string, string>>,
  maxHeapMb = MAX_HEAP_MB,
): Thread {
  const worker = new Worker(file, {
    name: 'gpu-lease transfers',
    workerData: data,
    env: environment,
    execArgv: [],
    // stdout belongs to the protocol.
    stdout: true,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: MAX_YOUNG_MB },
  });
  worker.stdout.resume();
  const ended = new Promise<Error>((resolve) => {
    worker.once('error', resolve);
    worker.once('exit', (code) => {
      resolve(new Error(`The thread ended with ${code}.`));
    });
  });
  worker.unref();
  return {
    port: worker,
    ended,
    hold(isHeld) {
      if (isHeld) worker.ref();
      else worker.unref();
    },
    async end() {
      await worker.terminate();
    },
  };
}
