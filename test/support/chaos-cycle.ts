import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BuiltServer, listAt, textAt } from './built-server.ts';
import type { ChaosPlan, ChaosStep } from './chaos-plan.ts';
import type { ChaosWorld } from './chaos-world.ts';

const SEARCH = {
  vast: { vastQuery: 'verified=any direct_port_count>=1', minReliability: 0 },
  runpod: { minReliability: 0, minVramGb: 8, diskGb: 16 },
  lambda: { minReliability: 0, minVramGb: 8, diskGb: 16 },
} as const;
const DISK_GB = 16;
const CANDIDATES = 2;
const MOST_SEARCHES = 8;
const TRIES = 3;
/** No call may take longer than the program promises, by far. */
const HUNG_SECONDS = 180;
const ABANDON_FOR_SECONDS = 6;
const OVER = ['completed', 'failed', 'cancelled', 'timed_out', 'lost'];

/** What became of one life cycle, as its client saw it. */
export interface ChaosTrace {
  readonly plan: ChaosPlan;
  /** With the seconds since it began. */
  readonly story: string[];
  readonly hung: string[];
  /** The last moment at which a client of this cycle lived; absent: it lives on, or ended its work. Milliseconds since the epoch. */
  diedAt?: number;
  isWhole: boolean;
  /** Processes of its machine that were killed, and those that were stopped so that nobody hears them. */
  killed: number;
  silenced: number;
}

/** The client is gone, or gave up. */
class Over extends Error {}

/** One life cycle: an agent that does its work through a server of its own, as far as it gets. */
export async function runChaosCycle(world: ChaosWorld, plan: ChaosPlan): Promise<ChaosTrace> {
  const trace: ChaosTrace = { plan, story: [], hung: [], isWhole: false, killed: 0, silenced: 0 };
  const began = Date.now();
  const tell = (text: string): void => {
    trace.story.push(`${((Date.now() - began) / 1000).toFixed(1)} ${text}`);
  };
  const name = `c${plan.cycle}`;
  const side: Promise<unknown>[] = [];
  const fired = new Set<string>();
  const later = (key: string, milliseconds: number, work: () => Promise<void>): void => {
    if (fired.has(key)) return;
    fired.add(key);
    setTimeout(() => {
      side.push(
        work().catch((failure: unknown) => {
          tell(`${key} failed: ${String(failure)}`);
        }),
      );
    }, milliseconds);
  };

  let server: BuiltServer | undefined;
  let isLeft = false;
  let jobs = 0;
  const known: { offerIds?: readonly string[]; quoteId?: string; podId?: string; jobId?: string } =
    {};

  const strike = async (): Promise<void> => {
    const how = plan.strike?.how ?? 'kill';
    tell(`the client is gone: ${how}`);
    isLeft = true;
    if (how === 'leave') return;
    trace.diedAt = Date.now();
    if (how === 'hangup') server?.child.stdin.end();
    else await server?.kill9();
    if (!plan.isAbandoned) return;
    const end = Date.now() + ABANDON_FOR_SECONDS * 1000;
    while (Date.now() < end) {
      await world.killWatcher();
      await pause(250);
    }
    tell('its watcher too');
  };
  const begin = (step: ChaosStep): void => {
    tell(step);
    const { podDies, network, fault } = plan;
    if (plan.strike?.step === step) later('strike', plan.strike.milliseconds, strike);
    if (podDies?.step === step)
      later('pod', podDies.milliseconds, async () => {
        const count =
          known.podId === undefined
            ? 0
            : await world.killMachine(
                known.podId,
                podDies.isSilent === true ? 'SIGSTOP' : 'SIGKILL',
              );
        if (podDies.isSilent === true) trace.silenced += count;
        else trace.killed += count;
        tell(
          `its machine is ${podDies.isSilent === true ? 'silent' : 'killed'}: ${count} processes`,
        );
      });
    if (network?.step === step)
      later('network', network.milliseconds, async () => {
        tell(`network: ${network.kind} for ${network.seconds} s`);
        await world.network(plan.cloud, network.kind, network.seconds);
      });
    if (step === 'create' && fault !== undefined)
      later('fault', 0, async () => {
        tell(`fault: ${JSON.stringify(fault)}`);
        world.addFault(fault);
        return Promise.resolve();
      });
  };

  const isGone = (): boolean => isLeft || trace.diedAt !== undefined;
  const ask = async (
    tool: string,
    args: Record<string, unknown>,
    tries = TRIES,
  ): Promise<Record<string, unknown>> => {
    for (let nth = 1; ; nth += 1) {
      const asked = server;
      if (asked === undefined || isLeft) throw new Over('left');
      const hung = pause(HUNG_SECONDS * 1000, 'hung' as const, { ref: false });
      const answer = await Promise.race([asked.tool(tool, args).catch(() => undefined), hung]);
      if (answer === 'hung') {
        trace.hung.push(tool);
        throw new Over('hung');
      }
      if (answer === undefined) throw new Over('the server is gone');
      if (!answer.isError) return answer.data;
      const { code, retryable } = answer.data;
      tell(`${tool}: ${String(code)}: ${String(answer.data['message']).slice(0, 160)}`);
      if (retryable !== true || nth >= tries) throw new Over(String(code));
      await pause(1000);
    }
  };

  const order = async (): Promise<void> => {
    const terms = {
      offerIds: known.offerIds,
      name,
      ttlMinutes: plan.ttlMinutes,
      diskGb: DISK_GB,
      maxAttempts: CANDIDATES,
    };
    if (known.quoteId === undefined) {
      begin('quote');
      // An order is never repeated by an agent that does not know what became of it.
      const quoted = await ask(
        'create_pod',
        { ...terms, waitSeconds: 45 },
        plan.isAuto ? 1 : TRIES,
      );
      if (quoted['status'] === 'needs_confirmation')
        known.quoteId = textAt(quoted, 'quote.quoteId');
      else {
        found(quoted);
        return;
      }
    }
    begin('create');
    found(await ask('create_pod', { ...terms, quoteId: known.quoteId, waitSeconds: 45 }, 1));
  };
  const found = (answer: Record<string, unknown>): void => {
    const pod = answer['pod'] as { podId?: string } | undefined;
    if (pod?.podId === undefined) throw new Over(`no pod: ${String(answer['status'])}`);
    known.podId = pod.podId;
    tell(`${pod.podId} is ${String(answer['status'])}`);
  };
  const findAgain = async (): Promise<void> => {
    const listed = await ask('list_pods', {});
    const mine = listAt(listed, 'pods')
      .map((pod) => pod as { podId: string; name?: string })
      .filter((pod) => pod.name === name);
    const [first] = mine;
    if (first === undefined) throw new Over('nothing of ours is there');
    known.podId = first.podId;
  };

  const useIt = async (): Promise<void> => {
    begin('ready');
    for (let nth = 0; ; nth += 1) {
      const seen = await ask('get_pod', { podId: known.podId, waitFor: 'ready', waitSeconds: 30 });
      const pod = seen['pod'] as { podId: string; status: string };
      known.podId = pod.podId;
      if (seen['reached'] === true) break;
      if (nth >= 3 || ['gone', 'failed'].includes(pod.status))
        throw new Over(`never ready: ${pod.status}`);
    }
    const { podId } = known;
    begin('session');
    const { sessionId } = await ask('session_open', { podId });
    await ask('session_write', { sessionId, input: `echo ${name}` }, 1);
    begin('sync');
    const code = path.join(world.workspace, name);
    await mkdir(code, { recursive: true });
    for (const nth of [1, 2, 3])
      await writeFile(path.join(code, `part${nth}.py`), `print(${nth})\n`);
    await ask('sync_files', { podId, localPath: name, remotePath: name });
    if (known.jobId === undefined) {
      begin('job');
      jobs += 1;
      const started = await ask('job_start', { podId, ...jobOf(world, plan, jobs) }, 1);
      known.jobId = textAt(started, 'jobId');
    }
    const { jobId } = known;
    begin('finish');
    for (let nth = 0; nth < 4; nth += 1) {
      const waited = await ask('job_wait', { jobId, waitSeconds: 25 });
      if (OVER.includes(String(waited['status']))) break;
    }
    begin('fetch');
    await ask('fetch_artifacts', { jobId, localPath: `${name}-home` });
    begin('destroy');
    for (let nth = 0; nth < TRIES; nth += 1) {
      const ended = await ask('destroy', { podId, waitSeconds: 45 });
      const { outcome } = ended;
      tell(`destroy: ${String(outcome)}`);
      if (outcome === 'gone') {
        trace.isWhole = true;
        return;
      }
      if (outcome === 'blocked') await bringHome(listAt(ended, 'missing'));
    }
  };
  /** What stands between an agent and the end: jobs that nobody waited for, files that nobody fetched. */
  const bringHome = async (missing: readonly unknown[]): Promise<void> => {
    const gates = missing.map((gate) => gate as { gate: string; jobId?: string });
    tell(`in the way: ${gates.map(({ gate, jobId = '' }) => `${gate} ${jobId}`).join(', ')}`);
    for (const jobId of new Set(gates.flatMap((gate) => gate.jobId ?? []))) {
      await ask('job_wait', { jobId, waitSeconds: 25 });
      await ask('fetch_artifacts', { jobId, localPath: `${name}-${jobId}` });
    }
  };
  const quietly = async (work: () => Promise<void>): Promise<void> =>
    work().catch((failure: unknown) => {
      tell(failure instanceof Over ? `over: ${failure.message}` : `failed: ${String(failure)}`);
      if (!(failure instanceof Over)) trace.hung.push(String(failure));
    });

  await pause(plan.startMilliseconds);
  if (plan.watcherDiesAt !== undefined)
    later('watcher', plan.watcherDiesAt * 1000, async () => {
      tell(`the watcher is killed: ${await world.killWatcher()}`);
    });
  server = await world.start(plan.isAuto);
  await quietly(async () => {
    begin('find');
    for (let nth = 0; known.offerIds === undefined; nth += 1) {
      const seen = await ask('find_offer', { providers: [plan.cloud], ...SEARCH[plan.cloud] });
      const all = listAt(seen, 'offers').map((offer) => textAt(offer, 'offerId'));
      // A cloud that did not answer in time has none.
      if (all.length === 0 && nth >= MOST_SEARCHES) throw new Over('no offers');
      if (all.length === 0) {
        await pause(2000);
        continue;
      }
      const first = plan.cycle % all.length;
      known.offerIds = [...all.slice(first), ...all.slice(0, first)].slice(0, CANDIDATES);
    }
    await order();
    await useIt();
  });
  await Promise.allSettled(side);
  const { comeback } = plan;
  if (trace.diedAt !== undefined && comeback !== undefined) {
    await pause(Math.max(0, trace.diedAt + comeback.seconds * 1000 - Date.now()));
    tell(`another server comes: ${comeback.what}`);
    await server.kill9();
    isLeft = false;
    server = await world.start(plan.isAuto);
    delete trace.diedAt;
    await quietly(async () => {
      if (comeback.what === 'repeat' && known.quoteId !== undefined && known.podId === undefined)
        await order();
      else await findAgain();
      if (comeback.what !== 'look') await useIt();
    });
    trace.diedAt = Date.now();
    await server[Symbol.asyncDispose]();
  } else if (trace.isWhole) await server[Symbol.asyncDispose]();
  else if (!isGone() && plan.cycle % 2 === 0) {
    // It gave up, and its client goes; the others stay, and ask for nothing.
    trace.diedAt = Date.now();
    await server[Symbol.asyncDispose]();
  }
  await Promise.allSettled(side);
  if (!trace.isWhole && plan.hurrySeconds !== undefined) await world.hurry(name, plan.hurrySeconds);
  return trace;
}

/** A job that makes two files, and tells of them in a place that outlives its machine. */
function jobOf(
  { witness }: ChaosWorld,
  { cycle, jobSeconds, fileBytes }: ChaosPlan,
  nth: number,
): Record<string, unknown> {
  const out = `out${nth}`;
  const file = path.join(witness, `${cycle}-${nth}`);
  const command = [
    `mkdir -p ${out}`,
    `sleep ${jobSeconds}`,
    `head -c ${fileBytes} /dev/urandom >${out}/weights.bin`,
    `printf '{"cycle": ${cycle}, "nonce": "%s"}\\n' "$(od -An -N8 -tx1 /dev/urandom | tr -d ' ')" >${out}/result.json`,
    `sha256sum ${out}/weights.bin ${out}/result.json >"${file}.new"`,
    `mv "${file}.new" "${file}"`,
  ].join(' && ');
  return {
    command,
    name: `job${cycle}-${nth}`,
    artifacts: [`${out}/weights.bin`, `${out}/result.json`],
  };
}
