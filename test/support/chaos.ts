import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lease } from '../../src/core/lease.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { type ChaosTrace, runChaosCycle } from './chaos-cycle.ts';
import type { ChaosPlan } from './chaos-plan.ts';
import { type ChaosWorld, openChaosWorld, type Sighting } from './chaos-world.ts';
import { watchersOf } from './watcher-process.ts';

/** How long after its deadline a machine may be charged at the most. */
export const GRACE_SECONDS = 60;
/** An artifact that existed for less before its machine was gone cannot be asked for. */
const LEAST_SECONDS = 10;
/** Two machines of one order at once, by more than the pause between two looks. */
const OVERLAP_MILLISECONDS = 1000;
/** Where nobody of ours lives, somebody opens the laptop again after so long. */
const NOBODY_SECONDS = 15;
const STRANGE_LIFE_SECONDS = 150;

export interface ChaosBreak {
  readonly kind: 'late' | 'lost' | 'double' | 'orphan' | 'hung';
  readonly cycle: number | undefined;
  readonly words: string;
}
export interface ChaosResult {
  readonly plans: readonly ChaosPlan[];
  readonly traces: readonly ChaosTrace[];
  readonly broken: readonly ChaosBreak[];
  readonly machines: number;
  /** Declared files that existed, and how many of them are home with the right hash. */
  readonly artifacts: number;
  readonly home: number;
  /** Not home: their machine broke, was gone too soon after they were made, or nobody was left to fetch them. */
  readonly diedWithMachine: number;
  readonly tooYoung: number;
  readonly nobodyLeft: number;
  /** Seconds from the death of the client until nothing was charged, and from the deadline; negative: before it. */
  readonly sinceDeath: readonly number[];
  readonly sinceDeadline: readonly number[];
  /** Of what was planned, what came about: clients that were gone, watchers killed, machines killed and machines silent. */
  readonly struck: number;
  readonly watchersKilled: number;
  readonly machinesKilled: number;
  readonly machinesSilent: number;
  readonly bystanders: number;
  readonly failures: readonly string[];
}

/** Life cycles side by side on one state folder, then what the books of the clouds say. */
export async function runChaosWorld(plans: readonly ChaosPlan[]): Promise<ChaosResult> {
  const [first] = plans;
  if (first === undefined) throw new Error('There is no plan.');
  await using world = await openChaosWorld(first.seed + first.cycle);
  await mkdir(world.witness, { recursive: true });
  const keeper = first.isAbandoned ? undefined : keepCompany(world);
  const traces = await Promise.all(plans.map(async (plan) => runChaosCycle(world, plan)));
  await untilNothingIsCharged(world);
  const bystanders = (await keeper?.end()) ?? 0;
  return { ...(await judge(world, traces)), bystanders };
}

/** Somebody comes back after a while where nobody of ours lives and money is spent. */
function keepCompany(world: ChaosWorld): { end(): Promise<number> } {
  const over = new AbortController();
  let came = 0;
  const work = (async () => {
    let since: number | undefined;
    while (!over.signal.aborted) {
      await pause(1000);
      const isAlone =
        world.livingServers() === 0 &&
        world.charged().length > 0 &&
        (await watchersOf(world.home)).length === 0;
      since = isAlone ? (since ?? Date.now()) : undefined;
      if (since === undefined || Date.now() - since < NOBODY_SECONDS * 1000) continue;
      came += 1;
      await world.start();
    }
  })();
  return {
    async end() {
      over.abort();
      await work;
      return came;
    },
  };
}

async function untilNothingIsCharged(world: ChaosWorld): Promise<void> {
  const limit = Date.now() + 400_000;
  while (world.charged().length > 0) {
    const leases = await leasesOf(world);
    const now = Date.now();
    const isHopeless = world.charged().every((podId) => {
      const seen = world.sightings.get(podId);
      return seen !== undefined && deadlineOf(seen, leases) + (GRACE_SECONDS + 5) * 1000 < now;
    });
    if (isHopeless || now > limit) return;
    await pause(500);
  }
}

async function leasesOf(world: ChaosWorld): Promise<readonly Lease[]> {
  await using store = createSqliteStore({ file: path.join(world.home, 'state.db') });
  return await store.leases.list();
}
const leaseOf = (seen: Sighting, leases: readonly Lease[]): Lease | undefined =>
  leases.find(({ podId }) => podId === seen.podId) ??
  leases.find(({ label }) => label === seen.label);
/** Milliseconds since the epoch. */
function deadlineOf(seen: Sighting, leases: readonly Lease[]): number {
  const lease = leaseOf(seen, leases);
  return lease === undefined
    ? seen.createdAt + STRANGE_LIFE_SECONDS * 1000
    : Date.parse(lease.deadlineAt);
}

async function judge(
  world: ChaosWorld,
  traces: readonly ChaosTrace[],
): Promise<Omit<ChaosResult, 'bystanders'>> {
  const leases = await leasesOf(world);
  const charged = new Set(world.charged());
  const seen = [...world.sightings.values()];
  const broken: ChaosBreak[] = [];
  const cycleOf = (one: Sighting): number | undefined => {
    const name = leaseOf(one, leases)?.terms.name;
    return name === undefined ? undefined : Number(name.slice(1));
  };
  const stateOf = (one: Sighting): string => {
    const lease = leaseOf(one, leases);
    return `${one.podId} (${one.states.join(' > ')}), lease ${lease?.state ?? 'none'}`;
  };

  for (const one of seen) {
    const seconds = (one.chargedAt - deadlineOf(one, leases)) / 1000;
    if (seconds > GRACE_SECONDS)
      broken.push({
        kind: 'late',
        cycle: cycleOf(one),
        words: `charged ${seconds.toFixed(1)} s after its deadline${charged.has(one.podId) ? ', and still' : ''}: ${stateOf(one)}`,
      });
    if (leaseOf(one, leases) === undefined)
      broken.push({ kind: 'orphan', cycle: undefined, words: stateOf(one) });
  }
  for (const group of byOrder(seen, leases))
    for (const [index, one] of group.entries())
      for (const other of group.slice(index + 1)) {
        const both =
          Math.min(one.livingAt, other.livingAt) - Math.max(one.createdAt, other.createdAt);
        if (both > OVERLAP_MILLISECONDS)
          broken.push({
            kind: 'double',
            cycle: cycleOf(one),
            words: `${(both / 1000).toFixed(1)} s at once: ${stateOf(one)} and ${stateOf(other)}`,
          });
      }
  for (const { plan, hung } of traces)
    for (const words of hung) broken.push({ kind: 'hung', cycle: plan.cycle, words });

  const count = { artifacts: 0, home: 0, diedWithMachine: 0, tooYoung: 0, nobodyLeft: 0 };
  const hashes = await hashesBelow(world);
  for (const made of await madeFiles(world)) {
    const machines = seen.filter((one) => cycleOf(one) === made.cycle);
    // The last machine of the cycle that was there when the files were made.
    const machine = machines.find(
      ({ createdAt, chargedAt }) => createdAt <= made.at && chargedAt + 1000 >= made.at,
    );
    for (const { hash, name } of made.files) {
      count.artifacts += 1;
      const lived = ((machine?.livingAt ?? made.at) - made.at) / 1000;
      if (hashes.has(hash)) count.home += 1;
      else if (machine?.isBroken === true) count.diedWithMachine += 1;
      else if (traces.find(({ plan }) => plan.cycle === made.cycle)?.plan.isAbandoned === true)
        count.nobodyLeft += 1;
      else if (lived < LEAST_SECONDS) count.tooYoung += 1;
      else
        broken.push({
          kind: 'lost',
          cycle: made.cycle,
          words: `${name} existed for ${lived.toFixed(1)} s: ${machine === undefined ? 'no machine' : `${stateOf(machine)}, waiver ${JSON.stringify(leaseOf(machine, leases)?.waiver ?? null)}`}`,
        });
    }
  }

  const dead = traces.filter(({ diedAt }) => diedAt !== undefined);
  const sinceDeath = dead.flatMap(({ plan, diedAt = 0 }) =>
    seen
      .filter((one) => cycleOf(one) === plan.cycle && one.chargedAt > diedAt)
      .map(({ chargedAt }) => (chargedAt - diedAt) / 1000),
  );
  const deadCycles = new Set(dead.map(({ plan }) => plan.cycle));
  const sinceDeadline = seen
    .filter((one) => deadCycles.has(cycleOf(one) ?? -1))
    .map((one) => (one.chargedAt - deadlineOf(one, leases)) / 1000);
  return {
    plans: traces.map(({ plan }) => plan),
    traces,
    broken,
    machines: seen.length,
    ...count,
    sinceDeath,
    sinceDeadline,
    struck: traces.filter(({ story }) => story.some((line) => line.includes('the client is gone')))
      .length,
    machinesKilled: traces.filter(({ killed }) => killed > 0).length,
    machinesSilent: traces.filter(({ silenced }) => silenced > 0).length,
    watchersKilled: traces.filter(({ story }) =>
      story.some((line) => /watcher is killed: [1-9]/.test(line)),
    ).length,
    failures: world.failures.map(String),
  };
}

function byOrder(seen: readonly Sighting[], leases: readonly Lease[]): readonly Sighting[][] {
  const groups = new Map<string, Sighting[]>();
  for (const one of seen) {
    const lease = leaseOf(one, leases);
    const key = lease?.quoteId ?? lease?.terms.name ?? one.podId;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

interface Made {
  readonly cycle: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly files: readonly { readonly hash: string; readonly name: string }[];
}
async function madeFiles({ witness }: ChaosWorld): Promise<readonly Made[]> {
  const made: Made[] = [];
  for (const name of await readdir(witness)) {
    if (name.endsWith('.new')) continue;
    const file = path.join(witness, name);
    const [text, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    const files = [...text.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm)].map(
      ([, hash = '', file = '']) => ({ hash, name: file }),
    );
    made.push({ cycle: Number.parseInt(name, 10), at: mtimeMs, files });
  }
  return made;
}

/** SHA-256 of all that was brought home, by an agent or by the watcher. */
export async function hashesBelow({
  home,
  workspace,
}: Pick<ChaosWorld, 'home' | 'workspace'>): Promise<ReadonlySet<string>> {
  const hashes = new Set<string>();
  for (const root of [workspace, path.join(home, 'rescued')])
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(
      () => [],
    ))
      if (entry.isFile()) {
        const data = await readFile(path.join(entry.parentPath, entry.name));
        hashes.add(createHash('sha256').update(data).digest('hex'));
      }
  return hashes;
}

/** The abandoned ones alone, the others in groups of so many. */
export function chaosGroups(
  plans: readonly ChaosPlan[],
  size: number,
): readonly (readonly ChaosPlan[])[] {
  const shared = plans.filter(({ isAbandoned }) => !isAbandoned);
  const groups: (readonly ChaosPlan[])[] = plans
    .filter(({ isAbandoned }) => isAbandoned)
    .map((plan) => [plan]);
  for (let index = 0; index < shared.length; index += size)
    groups.push(shared.slice(index, index + size));
  return groups;
}

/** Groups side by side, `atOnce` life cycles at the most. */
export async function runChaos(
  groups: readonly (readonly ChaosPlan[])[],
  atOnce: number,
  onResult: (result: ChaosResult) => void = () => undefined,
): Promise<readonly ChaosResult[]> {
  const todo = [...groups];
  const results: ChaosResult[] = [];
  let running = 0;
  let wake = (): void => undefined;
  const under = new Set<Promise<void>>();
  while (todo.length > 0) {
    const index = todo.findIndex(({ length }) => running === 0 || running + length <= atOnce);
    const group = index === -1 ? undefined : todo.splice(index, 1)[0];
    if (group === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    running += group.length;
    const work = runChaosWorld(group)
      .then((result) => {
        results.push(result);
        onResult(result);
      })
      .finally(() => {
        running -= group.length;
        wake();
      });
    under.add(work);
    work.catch(() => undefined);
  }
  await Promise.all(under);
  return results;
}
