import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isAppError } from '../../src/core/errors.ts';
import type { SessionId } from '../../src/core/ids.ts';
import { isTerminal } from '../../src/core/job.ts';
import type { Direction, Fault, Strike } from './fault-proxy.ts';
import { fetchOf, syncOf } from './file-requests.ts';
import { randomFrom } from './random.ts';
import { Hung, type TransportBench, within } from './transport-bench.ts';

/** Each work counts in a file of its own, so that one that is tried again begins at nothing. */
const newCounter = (): string => `counter-${randomBytes(6).toString('hex')}`;

/** A link may break under any call; only these may come of it. */
const LINK_CODES: readonly string[] = ['ssh_unreachable', 'link_lost'];

/** What one piece of work came to under a fault. */
export interface Outcome {
  /** Codes of calls that ended in an error of ours, in order. */
  readonly codes: readonly string[];
  readonly lost: number;
  readonly doubled: number;
}
/** Work whose end can be checked to the byte. `turn` differs in every run of one bench. */
export interface Work {
  readonly name: string;
  /** Throws for whatever no fault may do. */
  run(turn: number): Promise<Outcome>;
  /** Checks what all turns together left. */
  finish(): Promise<Outcome>;
}

/** Bytes that nothing makes smaller, those of another `seed` others at each place. A shorter run of them begins a longer one. */
export function bytesFrom(seed: number, length: number): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

const NOTHING: Outcome = { codes: [], lost: 0, doubled: 0 };

/** The code of an expected failure; anything else is thrown on. */
export function codeOf(thrown: unknown, allowed = LINK_CODES): string {
  if (isAppError(thrown) && allowed.includes(thrown.code)) return thrown.code;
  throw thrown;
}

async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

/** How often each wanted line is missing, and how often any is there again. */
function compareLines(seen: readonly string[], wanted: readonly string[]): Omit<Outcome, 'codes'> {
  const counts = new Map<string, number>();
  for (const line of seen) counts.set(line, (counts.get(line) ?? 0) + 1);
  return {
    lost: wanted.filter((line) => !counts.has(line)).length,
    doubled: [...counts.values()].reduce((sum, count) => sum + count - 1, 0),
  };
}

/** One-shot commands. `warm`: the connection stands before the fault is armed. */
export function execWork(bench: TransportBench): Work {
  const { podId, ssh } = bench;
  const counterFile = newCounter();
  const counter = path.join(bench.podHome, counterFile);
  const certain: string[] = [];
  const never: string[] = [];
  return {
    name: 'exec',
    async run(turn) {
      const done = await within(30, async (signal) =>
        ssh.remote.exec(
          podId,
          `echo ${turn} >>"$HOME/${counterFile}"; head -c 200000 /dev/zero | tr '\\0' x; cat; exit 7`,
          { signal, timeoutSeconds: 30, stdin: 'y'.repeat(20_000) },
        ),
      ).catch(codeOf);
      if (typeof done === 'string') {
        if (done === 'ssh_unreachable') never.push(String(turn));
        return { ...NOTHING, codes: [done] };
      }
      certain.push(String(turn));
      const whole = `${'x'.repeat(200_000)}${'y'.repeat(20_000)}`;
      if (done.exitCode !== 7) throw new Error(`exit code ${done.exitCode}`);
      return { ...NOTHING, lost: done.stdout.toString() === whole ? 0 : 1 };
    },
    async finish() {
      const seen = await linesOf(counter);
      const ran = never.filter((turn) => seen.includes(turn));
      if (ran.length > 0) throw new Error(`said to have never run, but did: ${ran.join(' ')}`);
      return { codes: [], ...compareLines(seen, certain) };
    },
  };
}

/** Commands typed into one shell for all turns, and its transcript read to the end. */
export async function sessionWork(bench: TransportBench): Promise<Work> {
  const { podId, ssh } = bench;
  const { sessionId } = await within(30, async (signal) =>
    ssh.sessions.open(podId, { reuse: false }, { signal }),
  );
  const counterFile = newCounter();
  let ran = 0;
  const unknown = new Set<string>();
  const write = async (number: number): Promise<string | undefined> => {
    const input = `echo ${number} >>"$HOME/${counterFile}"; echo "out-$((${number}))"; (exit ${number % 100})`;
    const written = await within(60, async (signal) =>
      ssh.sessions.write(
        sessionId,
        { input, newline: true, secret: false, waitSeconds: 30 },
        { signal },
      ),
    ).catch((thrown: unknown) => codeOf(thrown));
    if (typeof written === 'string') {
      unknown.add(String(number));
      return written;
    }
    const { done, exitCode, output } = written;
    if (!done || exitCode !== number % 100 || output !== `out-${number}\n`)
      throw new Error(`write ${number}: ${JSON.stringify(written)}`);
    return undefined;
  };
  return {
    name: 'session_write',
    async run() {
      const codes: string[] = [];
      for (let count = 0; count < 3; count += 1) {
        ran += 1;
        const code = await write(ran);
        if (code !== undefined) codes.push(code);
      }
      return { ...NOTHING, codes };
    },
    async finish() {
      const all = Array.from({ length: ran }, (_, index) => String(index + 1));
      const sure = all.filter((number) => !unknown.has(number));
      const counted = compareLines(await linesOf(path.join(bench.podHome, counterFile)), sure);
      const text = (await readAll(bench, sessionId)).replaceAll(/\x1b[^\n]*?m/g, '');
      const shown = compareLines(
        text.split('\n').filter((line) => /^out-\d+$/.test(line)),
        sure.map((number) => `out-${number}`),
      );
      return {
        codes: [],
        lost: counted.lost + shown.lost,
        doubled: counted.doubled + shown.doubled,
      };
    },
  };
}

/** A long output read page by page by its offsets, as an agent does. */
export async function sessionReadWork(bench: TransportBench): Promise<Work> {
  const { podId, ssh } = bench;
  const { sessionId } = await within(30, async (signal) =>
    ssh.sessions.open(podId, { reuse: false }, { signal }),
  );
  const numbers = (turn: number): readonly string[] =>
    Array.from({ length: 8000 }, (_, index) => String(turn * 100_000 + index));
  return {
    name: 'session_read',
    async run(turn) {
      const codes: string[] = [];
      const input = `seq ${turn * 100_000} ${turn * 100_000 + 7999}; echo end-of-"${turn}"`;
      const written = await within(60, async (signal) =>
        ssh.sessions.write(
          sessionId,
          { input, newline: true, secret: false, waitSeconds: 0 },
          { signal },
        ),
      ).catch(codeOf);
      if (typeof written === 'string') return { ...NOTHING, codes: [written] };
      let offset = written.offset;
      let text = '';
      for (const end = performance.now() + 60_000; !text.includes(`end-of-${turn}\n`); ) {
        const page = await within(15, async (signal) =>
          ssh.sessions.read(
            sessionId,
            { offset, maxBytes: 16_000, waitSeconds: 5, format: 'clean' },
            { signal },
          ),
        );
        if (page.offset !== offset) throw new Error(`asked for ${offset}, got ${page.offset}`);
        if (page.state === 'unreachable') codes.push('unreachable');
        text += page.output;
        offset = page.nextOffset;
        if (performance.now() > end) throw new Hung('the output did not come to its end');
      }
      const lines = text.split('\n').filter((line) => /^\d+$/.test(line));
      return { codes, ...compareLines(lines, numbers(turn)) };
    },
    finish: async () => Promise.resolve(NOTHING),
  };
}

async function readAll({ ssh }: TransportBench, sessionId: SessionId): Promise<string> {
  let text = '';
  for (let offset = 0; ; ) {
    const page = await within(10, async (signal) =>
      ssh.sessions.read(
        sessionId,
        { offset, maxBytes: 40_000, waitSeconds: 0, format: 'clean' },
        { signal },
      ),
    );
    if (page.offset !== offset) throw new Error(`asked for ${offset}, got ${page.offset}`);
    text += page.output;
    if (!page.hasMore) return text;
    offset = page.nextOffset;
  }
}

/** A tree whose files all change in every turn; what was there stays whole until the new has come. */
export function syncWork(
  bench: TransportBench,
  { bytes = 2 << 20, files = 24 }: { readonly bytes?: number; readonly files?: number } = {},
): Work {
  const local = path.join(bench.workspace, 'project');
  const remote = path.join(bench.podHome, 'project');
  let before: Tree = {};
  return {
    name: 'sync',
    async run(turn) {
      await writeTree(local, turn, bytes, files);
      const now = await hashesOf(local);
      const codes = await repeated(
        async (signal) => {
          const result = await bench.files.sync(syncOf(bench.podId, { remotePath: remote }), {
            signal,
          });
          if (!result.verified) throw new Error('not verified');
        },
        async () => mixOf(await hashesOf(remote), before, now),
      );
      const seen = await hashesOf(remote);
      before = now;
      return { codes, ...compareTrees(seen, now) };
    },
    finish: async () => Promise.resolve(NOTHING),
  };
}

/** Results brought home into a folder of their own in every turn. */
export function fetchWork(
  bench: TransportBench,
  { bytes = 2 << 20, files = 24 }: { readonly bytes?: number; readonly files?: number } = {},
): Work {
  return {
    name: 'fetch',
    async run(turn) {
      const remote = path.join(bench.podHome, `out-${turn}`);
      const local = path.join(bench.workspace, `home-${turn}`);
      await writeTree(remote, turn + 500_000, bytes, files);
      const now = await hashesOf(remote);
      const codes = await repeated(
        async (signal) => {
          await bench.files.fetch(
            fetchOf(bench.podId, {
              paths: [`out-${turn}`],
              localPath: `home-${turn}`,
              strict: true,
            }),
            { signal },
          );
        },
        async () => mixOf(await hashesOf(path.join(local, `out-${turn}`)), {}, now),
      );
      const seen = await hashesOf(path.join(local, `out-${turn}`));
      await rm(remote, { recursive: true });
      await rm(local, { recursive: true });
      return { codes, ...compareTrees(seen, now) };
    },
    finish: async () => Promise.resolve(NOTHING),
  };
}

/** Jobs are started, waited for and their logs read; each command runs once at most. */
export function jobWork(bench: TransportBench): Work {
  const { jobs, podId } = bench;
  const counterFile = newCounter();
  const counter = path.join(bench.podHome, counterFile);
  const certain: string[] = [];
  const never: string[] = [];
  return {
    name: 'job',
    async run(turn) {
      const codes: string[] = [];
      const command = `echo ${turn} >>"$HOME/${counterFile}"; seq 1 3000; exit ${3 + (turn % 5)}`;
      const started = await within(60, async (signal) =>
        jobs.start(
          { podId, command, env: {}, secretEnv: [], artifacts: [], maxRuntimeMinutes: 5 },
          { signal },
        ),
      ).catch(codeOf);
      if (typeof started === 'string') {
        codes.push(started);
        // The caller is told to look: the record, where there is one, ends up with the truth.
        const kept = (await jobs.list(podId)).find((job) => job.command === command);
        const status = kept === undefined ? 'none' : await ended(kept.jobId);
        (status === 'failed' ? certain : never).push(String(turn));
        return { ...NOTHING, codes };
      }
      const { jobId } = started.job;
      certain.push(String(turn));
      const status = await ended(jobId);
      const job = await jobs.get(jobId);
      if (status !== 'failed' || job.exitCode !== 3 + (turn % 5))
        throw new Error(`job ${turn} ended ${status} with ${String(job.exitCode)}`);
      let log = '';
      for (let offset = 0; ; ) {
        const page = await within(15, async (signal) =>
          jobs.logs(jobId, { stream: 'stdout', offset, maxBytes: 4000 }, { signal }),
        );
        if (page.offset !== offset) throw new Error(`asked for ${offset}, got ${page.offset}`);
        log += page.output;
        offset = page.nextOffset;
        if (!page.hasMore) break;
      }
      const wanted = Array.from({ length: 3000 }, (_, index) => String(index + 1));
      return { codes, ...compareLines(log.split('\n').filter(Boolean), wanted) };
    },
    async finish() {
      const seen = await linesOf(counter);
      const ran = never.filter((turn) => seen.includes(turn));
      if (ran.length > 0) throw new Error(`not started by their record, but ran: ${ran.join(' ')}`);
      return { codes: [], ...compareLines(seen, certain) };
    },
  };
  async function ended(jobId: Parameters<typeof jobs.wait>[0]): Promise<string> {
    for (const end = performance.now() + 40_000; performance.now() < end; ) {
      const report = await within(15, async (signal) =>
        jobs.wait(jobId, { waitSeconds: 10, offset: 0, maxBytes: 1000 }, { signal }),
      );
      if (isTerminal(report.status)) return report.status;
    }
    throw new Hung('the job did not come to its end');
  }
}

/** Calls `work` again while the link failed it, four times in all. Answers the codes of its failures. */
async function repeated(
  work: (signal: AbortSignal) => Promise<void>,
  afterFailure: () => Promise<void>,
): Promise<readonly string[]> {
  const codes: string[] = [];
  for (;;)
    try {
      await within(60, work);
      return codes;
    } catch (thrown) {
      codes.push(codeOf(thrown));
      await afterFailure();
      if (codes.length === 4) throw thrown;
    }
}

type Tree = Readonly<Record<string, string>>;

async function writeTree(
  folder: string,
  seed: number,
  bytes: number,
  files: number,
): Promise<void> {
  const random = randomFrom(seed);
  await mkdir(path.join(folder, 'sub'), { recursive: true });
  await writeFile(path.join(folder, 'big.bin'), bytesFrom(seed, bytes));
  for (let index = 0; index < files; index += 1)
    await writeFile(
      path.join(folder, index % 2 === 0 ? 'sub' : '.', `small ${index}.txt`),
      `turn ${seed}\n${'line\n'.repeat(Math.floor(random() * 900))}`,
    );
}

/** Every regular file but those that are still on their way, with its sha256. */
export async function hashesOf(folder: string): Promise<Tree> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const tree: Record<string, string> = {};
  for (const entry of entries) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file);
    if (!entry.isFile() || name.split('/').some((part) => part.startsWith('.gpu-lease'))) continue;
    const content = await readFile(file).catch(() => undefined);
    if (content !== undefined) tree[name] = createHash('sha256').update(content).digest('hex');
  }
  return tree;
}

function compareTrees(seen: Tree, wanted: Tree): Omit<Outcome, 'codes'> {
  return {
    lost: Object.entries(wanted).filter(([name, hash]) => seen[name] !== hash).length,
    doubled: Object.keys(seen).filter((name) => wanted[name] === undefined).length,
  };
}

/** After a failure every file is whole: the old one or the new one. */
async function mixOf(seen: Tree, old: Tree, fresh: Tree): Promise<void> {
  for (const [name, hash] of Object.entries(seen))
    if (hash !== old[name] && hash !== fresh[name])
      throw new Error(`${name} is neither old nor new`);
  return Promise.resolve();
}

export interface Struck extends Outcome {
  readonly work: string;
  readonly strike: Strike;
  /** The byte was reached. */
  readonly struck: boolean;
  readonly seconds: number;
  readonly failure: unknown;
}

/**
 * Runs `work` once whole to see how many bytes it moves, then once for each of `count` seeded bytes of them with a fault
 * there. Every other time the connections are made anew first, so that the handshake is part of it. Never throws for the
 * work: what no fault may do is in `failure`.
 */
export async function strikeAtBytes(
  bench: TransportBench,
  work: Work,
  {
    count,
    seed,
    faults,
  }: { readonly count: number; readonly seed: number; readonly faults: readonly Fault[] },
): Promise<readonly Struck[]> {
  const { proxy, ssh, podId } = bench;
  const random = randomFrom(seed);
  const moved: Record<string, Record<Direction, number>> = {};
  let turn = 1;
  for (const way of ['cold', 'warm']) {
    if (way === 'cold') await ssh.remote.disconnect(podId);
    const before = proxy.carried();
    await work.run(turn++);
    const after = proxy.carried();
    moved[way] = { up: after.up - before.up, down: after.down - before.down };
  }
  const results: Struck[] = [];
  for (let index = 0; index < count; index += 1) {
    // Every kind of fault meets both: the order turns with each round of them.
    const way = (index + Math.floor(index / faults.length)) % 2 === 0 ? 'cold' : 'warm';
    if (way === 'cold') await ssh.remote.disconnect(podId);
    const direction: Direction = random() < 0.5 ? 'up' : 'down';
    const byte = 1 + Math.floor(random() * (moved[way]?.[direction] ?? 1));
    const fault = faults[index % faults.length] ?? { kind: 'reset' };
    const strike: Strike = { byte, direction, fault };
    const set = proxy.strike(strike);
    const started = performance.now();
    let outcome = NOTHING;
    let failure: unknown;
    try {
      outcome = await work.run(turn++);
    } catch (thrown) {
      failure = thrown;
    }
    set.cancel();
    const seconds = (performance.now() - started) / 1000;
    results.push({ work: work.name, strike, struck: set.struck, seconds, failure, ...outcome });
  }
  return results;
}
