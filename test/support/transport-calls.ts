import { afterEach, expect } from 'vitest';
import type { FetchRequest, FetchResult, SyncRequest, SyncResult } from '../../src/core/files.ts';
import type { Direction } from './fault-proxy.ts';
import { fetchOf, syncOf } from './file-requests.ts';
import {
  openTransport,
  type TransportBench,
  type TransportOptions,
  within,
} from './transport-bench.ts';
import { codeOf } from './transport-works.ts';

/** What each test of a file opened is closed behind it, the last first. Called once, at the top of the file. */
export function keepBenches(defaults: TransportOptions = {}): {
  readonly closers: (() => Promise<void>)[];
  readonly openBench: (options?: TransportOptions) => Promise<TransportBench>;
} {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  });
  return {
    closers,
    openBench: async (options: TransportOptions = {}): Promise<TransportBench> => {
      const bench = await openTransport({ ...defaults, ...options });
      closers.push(async () => bench[Symbol.asyncDispose]());
      return bench;
    },
  };
}

/** The folder `project`, unless said otherwise, within a minute. */
export async function sync(
  { files, podId }: TransportBench,
  request: Partial<SyncRequest> = {},
): Promise<SyncResult> {
  return within(60, async (signal) => files.sync(syncOf(podId, request), { signal }));
}
/** The folder `out`, unless said otherwise, within a minute. */
export async function fetch(
  { files, podId }: TransportBench,
  request: Partial<FetchRequest> = {},
): Promise<FetchResult> {
  return within(60, async (signal) => files.fetch(fetchOf(podId, request), { signal }));
}

/** Does `change` while the link stands still behind a byte of `work`; answers what came of the work, or one of the `told` codes. */
export async function inTheMiddle<T>(
  { proxy }: TransportBench,
  {
    byte,
    direction,
    told,
  }: { readonly byte: number; readonly direction: Direction; readonly told: readonly string[] },
  work: () => Promise<T>,
  change: () => Promise<void> | void,
): Promise<T | string> {
  const set = proxy.strike({ byte, direction, fault: { kind: 'stall', seconds: 1 } });
  const running = work().catch((thrown: unknown) => codeOf(thrown, told));
  await Promise.race([set.when, running]);
  expect(set.struck).toBe(true);
  await change();
  return running;
}
