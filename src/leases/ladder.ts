import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { Blame, Hosts } from '../core/host.ts';
import { randomToken } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Probe, SshIdentity } from '../core/machine.ts';
import type { ProviderPod, Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { createBootWatch } from './boot-watch.ts';
import { limitOf } from './deps.ts';
import { createEntrance } from './entrance.ts';
import { fateOf, overdue } from './fate.ts';
import { handleOf, type Ledger, without } from './ledger.ts';
import {
  diskMismatchOf,
  GPU_SCRIPT,
  gpuMismatchOf,
  MACHINE_SCRIPT,
  type Measured,
  measuredFrom,
} from './measure.ts';
import { bootOf, type Rung, type Stage, withRungs } from './rungs.ts';
import { type Way, wayInto } from './way-in.ts';

const STEP_LIMIT_SECONDS = 20;
/** A pod that refuses our key is not asked oftener: some machines lock out who knocks too much. */
const LOGIN_EVERY_SECONDS = 5;

/** How far one climb came. */
interface Climb {
  readonly rungs: readonly Rung[];
  readonly failure?: { readonly reason: string; readonly blame: Blame };
  readonly denied?: true;
  readonly measured?: Readonly<Record<string, string | number>>;
}

export interface Ladder {
  /** Climbs as far as the pod lets us now, and writes down how far. One climb per pod at a time. Never throws for the pod. */
  climb(lease: Lease, pod: ProviderPod): Promise<Lease>;
}
export interface LadderDeps {
  readonly ledger: Ledger;
  readonly remote: Remote;
  readonly probe: Probe;
  readonly providers: Providers;
  readonly identity: SshIdentity;
  readonly clock: Clock;
  readonly hosts?: Hosts | undefined;
}

export function createLadder(deps: LadderDeps): Ladder {
  const { ledger, remote, clock, hosts } = deps;
  const climbing = new Map<string, Promise<Lease>>();
  const nextLogin = new Map<string, number>();
  const entrance = createEntrance(deps);
  const boots = createBootWatch(deps);

  async function walk(lease: Lease, pod: ProviderPod): Promise<Climb> {
    const rungs: Rung[] = [];
    const reach = (stage: Stage): void => {
      rungs.push({ stage, at: clock.now() });
    };
    reach('created');
    const failure = fateOf(lease, pod, clock.now());
    if (failure !== undefined) return { rungs, failure };
    if (pod.status !== 'running') {
      const fault = await boots.imageFault(lease);
      return { rungs, ...(fault === undefined ? {} : { failure: fault }) };
    }
    reach('running');
    const way = await wayInto(lease, pod, deps);
    if (way === undefined) return { rungs };
    reach('mapped');
    // On record before the login, which goes where the lease says.
    await entrance.choose(lease, way.endpoint, pod);
    return climbBy(way, lease, rungs, reach);
  }

  async function climbBy(
    { endpoint, reach }: Way,
    lease: Lease,
    rungs: Rung[],
    note: (stage: Stage) => void,
  ): Promise<Climb> {
    if (reach !== 'closed') note('tcp');
    if (reach !== 'ssh') return { rungs };
    note('banner');
    const door = await logIn(lease);
    if (door === 'closed') return { rungs };
    if (door === 'denied') return { rungs, denied: true };
    if (door !== 'open')
      return { rungs: [...rungs, { stage: 'auth', at: clock.now() }], failure: door };
    note('auth');
    note('command');
    return measure(lease, rungs, note, endpoint.workFolder);
  }

  /** Whether a command of ours runs on the pod, with an answer that nobody could have prepared. */
  async function logIn(
    lease: Lease,
  ): Promise<'open' | 'closed' | 'denied' | NonNullable<Climb['failure']>> {
    const now = clock.now().getTime();
    if (now < (nextLogin.get(lease.leaseId) ?? 0)) return 'closed';
    const noCommands = {
      reason: 'The login of the pod does not run commands.',
      blame: 'image' as const,
    };
    const token = randomToken();
    try {
      const { stdout } = await remote.exec(handleOf(lease), `printf %s ${token}`, options());
      return stdout.toString('utf8') === token ? 'open' : noCommands;
    } catch (failure) {
      if (!isAppError(failure)) return 'closed';
      if (failure.code === 'ssh_refused') {
        nextLogin.set(lease.leaseId, clock.now().getTime() + LOGIN_EVERY_SECONDS * 1000);
        return 'denied';
      }
      if (failure.code === 'host_key_changed')
        return { reason: 'Another machine answers at the address of the pod.', blame: 'host' };
      return failure.code === 'unsupported' ? noCommands : 'closed';
    }
  }

  async function measure(
    lease: Lease,
    rungs: Rung[],
    note: (stage: Stage) => void,
    knownFolder: string | undefined,
  ): Promise<Climb> {
    const run = async (script: string): Promise<string> => {
      const { stdout } = await remote.exec(handleOf(lease), script, options());
      return stdout.toString('utf8');
    };
    let text = '';
    const seen = (): Measured => measuredFrom(text);
    const broken = (reason: string): Climb => ({
      rungs,
      failure: { reason, blame: 'host' },
      measured: seen().facts,
    });
    try {
      text = await run(GPU_SCRIPT);
      const wrongGpu = gpuMismatchOf(lease.offer, seen());
      if (wrongGpu !== undefined) return broken(wrongGpu);
      note('gpu');
      const workFolder = knownFolder ?? (await remote.workFolder(handleOf(lease), options()));
      text += `\n${await run(`set -- ${shellQuote(workFolder)}\n${MACHINE_SCRIPT}`)}`;
      const wrongDisk = diskMismatchOf(lease.offer, lease.terms.diskGb, seen());
      if (wrongDisk !== undefined) return broken(wrongDisk);
      note('disk');
      note('ready');
      return { rungs, measured: { ...seen().facts, workFolder } };
    } catch {
      return { rungs };
    }
  }

  const options = () => ({
    signal: limitOf(STEP_LIMIT_SECONDS * 2),
    timeoutSeconds: STEP_LIMIT_SECONDS,
  });

  async function climb(lease: Lease, pod: ProviderPod): Promise<Lease> {
    const climbed = await walk(lease, pod);
    if (applied(lease, climbed, clock.now()) === undefined) return lease;
    const kept = await ledger.update(lease.leaseId, (before) =>
      before.state !== 'open' || before.bootAt !== lease.bootAt
        ? undefined
        : applied(before, climbed, clock.now()),
    );
    if (climbed.denied === true) return entrance.attachKey(kept);
    if (lease.readyAt === undefined && kept.readyAt !== undefined) await remember(kept, pod);
    return kept;
  }

  async function remember(lease: Lease, { machineId }: ProviderPod): Promise<void> {
    const bootSeconds = (Date.parse(lease.readyAt ?? lease.createdAt) - bootOf(lease)) / 1000;
    nextLogin.delete(lease.leaseId);
    // What a host did for us once is worth knowing, but no pod waits for it.
    if (lease.bootAt === undefined && lease.approvedBy !== 'adopted')
      await hosts?.succeeded(lease, { bootSeconds, machineId }).catch(() => undefined);
  }

  return {
    async climb(lease, pod) {
      if (lease.readyAt !== undefined || lease.state !== 'open') return lease;
      const running = climbing.get(lease.leaseId) ?? climb(lease, pod);
      climbing.set(lease.leaseId, running);
      try {
        return await running;
      } finally {
        climbing.delete(lease.leaseId);
      }
    },
  };
}

/** The lease after a climb; `undefined`: as before. Pure. */
function applied(
  lease: Lease,
  { rungs, failure, denied, measured }: Climb,
  now: Date,
): Lease | undefined {
  const higher = withRungs(lease, rungs);
  const isLetIn = rungs.some(({ stage }) => stage === 'command');
  const after: Lease = {
    ...(isLetIn ? without(higher, 'deniedSince') : higher),
    ...(denied === true ? { deniedSince: lease.deniedSince ?? now.toISOString() } : {}),
    ...(measured === undefined ? {} : { measured }),
  };
  const why = failure ?? overdue(after, now);
  const result =
    why === undefined
      ? without(after, 'failure', 'blame')
      : { ...after, failure: why.reason, blame: why.blame };
  return isDeepStrictEqual(result, lease) ? undefined : result;
}
