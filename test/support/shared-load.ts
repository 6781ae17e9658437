import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lease } from '../../src/core/lease.ts';
import { WATCH_ID, type WatchRecord } from '../../src/core/watcher.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { BuiltServer, listAt, type ToolAnswer, textAt } from './built-server.ts';
import { randomFrom } from './random.ts';
import { startVastSandbox } from './vast-sandbox.ts';
import { watchedSandbox, watchersOf } from './watcher-process.ts';

const MOST_PODS = 5;
/** Rented at first; servers change them from both sides. */
const SHARED_PODS = 2;
/** Each server rents and ends pods on this many lines at once. */
const LINES = 2;
const SEED = 6;
/** A watcher that is heard says so every 5 s. The rest is the load of the machine. */
const BEAT_LIMIT_SECONDS = 30;
const LOOK_EVERY_MILLISECONDS = 100;
const REFUSALS = ['budget_exceeded', 'offer_gone', 'no_capacity'];

export interface SharedLoad {
  /** Calls that were answered, by tool and code. */
  readonly calls: Readonly<Record<string, number>>;
  readonly rented: number;
  /** How often a limit refused an order. */
  readonly refused: number;
  /** The most pods that were charged at once, by the books of the cloud, and the most that had leases. */
  readonly mostCharged: number;
  readonly mostLeases: number;
  readonly mostPods: number;
  readonly changes: number;
  /** What was acknowledged and is not so. */
  readonly lostUpdates: readonly string[];
  /** Longest silence of a watcher whose process lived, in seconds, and how long it may be. */
  readonly oldestBeatSeconds: number;
  readonly beatLimitSeconds: number;
  /** A watcher was killed so often; its successors had a higher epoch each time. */
  readonly watchersKilled: number;
  readonly epochs: readonly number[];
  /** Longest wait for the write lock of the store, in seconds. */
  readonly longestWriteSeconds: number;
  /** Locks that nobody holds any more: leases that somebody who is long done is said to create. */
  readonly staleLocks: readonly string[];
  readonly failures: readonly string[];
}

/** Whether there was something to lose: the limit was met, both sides wrote, a watcher was heard. */
export function hadWork(
  seen: Pick<SharedLoad, 'rented' | 'refused' | 'changes' | 'epochs'>,
): boolean {
  return seen.rented > 3 && seen.refused > 0 && seen.changes > 4 && seen.epochs.length > 0;
}

/**
 * Two servers and the watcher on one state folder: both rent, change, end and list pods as fast as they can under a limit, one
 * renames what the other one prolongs. Where the machine is slow it goes on until there was something to lose, three times as long at the most.
 */
export async function runSharedLoad(seconds: number): Promise<SharedLoad> {
  await using cloud = await startVastSandbox({ machines: 'none', offers: 60, creditUsd: 100_000 });
  await using box = await watchedSandbox();
  const env = {
    VAST_API_KEY: cloud.apiKey,
    VAST_URL: cloud.url,
    GPU_LEASE_WATCHER: 'on',
    GPU_LEASE_AUTO_APPROVE_USD: '100000',
    GPU_LEASE_MAX_PODS: String(MOST_PODS),
  };
  const start = { home: box.home, workspace: box.workspace, env };
  await using one = await BuiltServer.start(start);
  await using two = await BuiltServer.start(start);
  const servers = [one, two] as const;
  await using store = createSqliteStore({ file: path.join(box.home, 'state.db') });

  const calls: Record<string, number> = {};
  const failures: string[] = [];
  const staleLocks: string[] = [];
  const lostUpdates: string[] = [];
  const acknowledged = { rented: new Set<string>(), ended: new Set<string>() };
  let refused = 0;
  let changes = 0;
  const ask = async (
    server: BuiltServer,
    tool: string,
    args: Record<string, unknown>,
  ): Promise<ToolAnswer> => {
    const answer = await server.tool(tool, args);
    const code = answer.isError ? String(answer.data['code']) : 'ok';
    calls[`${tool} ${code}`] = (calls[`${tool} ${code}`] ?? 0) + 1;
    if (answer.isError && !REFUSALS.includes(code))
      failures.push(`${tool}: ${code}: ${String(answer.data['message'])}`);
    return answer;
  };
  const search = async (): Promise<readonly string[]> => {
    const found = await one.call('find_offer', {
      providers: ['vast'],
      vastQuery: 'verified=any direct_port_count>=1',
      minReliability: 0,
      limit: 20,
    });
    return listAt(found, 'offers').map((offer) => textAt(offer, 'offerId'));
  };
  let offers = await search();
  const random = randomFrom(SEED);
  const rent = async (server: BuiltServer, name: string): Promise<string | undefined> => {
    const offerId = offers[Math.floor(random() * offers.length)];
    const terms = { offerId, name, ttlMinutes: 60, diskGb: 16, maxAttempts: 1, waitSeconds: 0 };
    const answer = await ask(server, 'create_pod', terms);
    if (answer.isError) {
      refused += answer.data['code'] === 'budget_exceeded' ? 1 : 0;
      if (answer.data['code'] === 'offer_gone') offers = await search();
      return undefined;
    }
    if (answer.data['status'] === 'failed') {
      // The other one took the machine first; any other failure is none that load may bring.
      for (const tried of listAt(answer.data, 'attempts')) {
        const [reason, cleanup] = [textAt(tried, 'reason'), textAt(tried, 'cleanup')];
        if (!reason.startsWith('offer_gone') || cleanup !== 'nothing_created')
          failures.push(`create_pod: ${reason} (${cleanup})`);
      }
      offers = await search();
      return undefined;
    }
    const podId = textAt(answer.data, 'pod.podId');
    acknowledged.rented.add(podId);
    return podId;
  };

  const shared: string[] = [];
  while (shared.length < SHARED_PODS) {
    const podId = await rent(one, `shared${shared.length}`);
    if (podId !== undefined) shared.push(podId);
  }

  const epochs: number[] = [];
  const begun = Date.now();
  const isOver = (): boolean => {
    const ran = (Date.now() - begun) / 1000;
    const rented = acknowledged.rented.size;
    return ran >= seconds && (hadWork({ rented, refused, changes, epochs }) || ran >= 3 * seconds);
  };

  /** Rents and ends. */
  const churn = async (server: BuiltServer, line: string): Promise<void> => {
    for (let nth = 0; !isOver(); nth += 1) {
      const podId = await rent(server, `${line}-${nth}`);
      if (podId === undefined) {
        await ask(server, 'list_pods', {});
        continue;
      }
      const { data } = await ask(server, 'destroy', { podId, waitSeconds: 30 });
      if (data['outcome'] === 'gone') acknowledged.ended.add(podId);
    }
  };
  const names = new Map<string, string>();
  const deadlines = new Map<string, string>();
  const rename = async (): Promise<void> => {
    for (let nth = 0; !isOver(); nth += 1)
      for (const podId of shared) {
        const name = `name-${nth}`;
        const { isError } = await ask(one, 'update_pod', { podId, name });
        if (!isError) names.set(podId, name);
        changes += 1;
      }
  };
  const prolong = async (): Promise<void> => {
    for (let nth = 0; !isOver(); nth += 1)
      for (const podId of shared) {
        const { isError, data } = await ask(two, 'update_pod', { podId, ttlMinutes: 61 + nth });
        if (!isError) deadlines.set(podId, textAt(data, 'pod.deadlineAt'));
        changes += 1;
      }
  };

  let mostCharged = 0;
  let mostLeases = 0;
  let oldestBeatSeconds = 0;
  let longestWriteSeconds = 0;
  let watchersKilled = 0;
  const lookAtWatcher = (record: WatchRecord | undefined, pids: readonly number[]): void => {
    if (record === undefined) return;
    if (epochs.at(-1) !== record.epoch) epochs.push(record.epoch);
    // Whoever does not live says nothing; that its place is taken is told by the epochs.
    if (record.endedAt === undefined && pids.includes(record.pid))
      oldestBeatSeconds = Math.max(
        oldestBeatSeconds,
        (Date.now() - Date.parse(record.beatAt)) / 1000,
      );
  };
  const look = async (): Promise<void> => {
    for (let nth = 0; !isOver(); nth += 1) {
      mostCharged = Math.max(mostCharged, cloud.books().billingCount);
      const leases = (await store.leases.list()).filter(({ state }) => state !== 'closed');
      mostLeases = Math.max(mostLeases, leases.length);
      if (nth % 10 === 0) {
        const before = Date.now();
        await store.transaction(async (tx) => {
          longestWriteSeconds = Math.max(longestWriteSeconds, (Date.now() - before) / 1000);
          return tx.watchers.get(WATCH_ID);
        });
        lookAtWatcher(await store.watchers.get(WATCH_ID), await watchersOf(box.home));
      }
      await pause(LOOK_EVERY_MILLISECONDS);
    }
  };
  /** Where there is time for a successor to be heard. */
  const kill = async (): Promise<void> => {
    for (let left = seconds; left >= 60; left -= 60) {
      await pause(15_000);
      const pids = await watchersOf(box.home);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      watchersKilled += Math.min(1, pids.length);
      await pause(45_000);
    }
  };
  await Promise.all([
    ...servers.flatMap((server, index) =>
      Array.from({ length: LINES }, async (_, line) => churn(server, `s${index}l${line}`)),
    ),
    rename(),
    prolong(),
    look(),
    kill(),
  ]);

  const leases = await store.leases.list();
  const leaseOf = (podId: string): Lease | undefined =>
    leases.find((lease) => lease.podId === podId || `vast:${lease.label}` === podId);
  for (const podId of acknowledged.rented)
    if (leaseOf(podId) === undefined) lostUpdates.push(`${podId} was rented and has no lease`);
  for (const podId of acknowledged.ended)
    if (leaseOf(podId)?.state !== 'closed')
      lostUpdates.push(`${podId} was seen gone, its lease is ${leaseOf(podId)?.state ?? 'none'}`);
  for (const [podId, name] of names)
    if (leaseOf(podId)?.name !== name)
      lostUpdates.push(`${podId} was named ${name}, its lease says ${leaseOf(podId)?.name ?? ''}`);
  for (const [podId, deadline] of deadlines)
    if (leaseOf(podId)?.deadlineAt !== deadline)
      lostUpdates.push(
        `${podId} lives until ${deadline}, its lease says ${leaseOf(podId)?.deadlineAt ?? ''}`,
      );
  const charged = cloud.books().instances.filter(({ billing }) => billing);
  for (const { id } of charged)
    if ((leaseOf(`vast:${id}`)?.state ?? 'closed') === 'closed')
      lostUpdates.push(`vast:${id} is charged and has no open lease`);
  for (const lease of leases)
    if (lease.state === 'intended' || (lease.state === 'closed' && lease.mayReplace === true))
      staleLocks.push(`${lease.leaseId} is ${lease.state} by ${lease.creator ?? 'nobody'}`);
  return {
    calls,
    rented: acknowledged.rented.size,
    refused,
    mostCharged,
    mostLeases,
    mostPods: MOST_PODS,
    changes,
    lostUpdates,
    oldestBeatSeconds,
    beatLimitSeconds: BEAT_LIMIT_SECONDS,
    watchersKilled,
    epochs,
    longestWriteSeconds,
    staleLocks,
    failures,
  };
}
