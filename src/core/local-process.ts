import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { POD_TOKEN_VARIABLE, type ProcessIdentity } from './embedded-pod.ts';

/** Processes of this machine, told apart by pid and start time, so that a reused pid never fools anybody. */

const onLinux = process.platform === 'linux';

/** `undefined`: no such process, or only its zombie is left. */
export async function processIdentity(pid: number): Promise<ProcessIdentity | undefined> {
  if (!onLinux) return identityByPs(pid);
  const stat = await readStat(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  return { pid, startedAt: `${await bootId()}:${stat.startTicks}` };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await processIdentity(identity.pid))?.startedAt === identity.startedAt;
}

/**
 * The processes that carry `token` in their environment, and all below them: also those that left their session or were
 * adopted by init. This process and its ancestors are never among them.
 */
export async function processesOfPod(token: string): Promise<readonly number[]> {
  const table = onLinux ? await tableFromProc(token) : await tableFromPs(token);
  const spared = new Set<number>();
  for (let pid = process.pid; pid > 1 && !spared.has(pid); pid = table.get(pid)?.parent ?? 1)
    spared.add(pid);
  const found = new Set([...table].filter(([, row]) => row.carriesToken).map(([pid]) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [pid, row] of table) if (found.has(row.parent)) found.add(pid);
  }
  return [...found].filter((pid) => !spared.has(pid) && pid > 1);
}

/** False when the process is gone. Throws when we may not signal it. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ESRCH') return false;
    throw failure;
  }
}

interface Row {
  readonly parent: number;
  readonly carriesToken: boolean;
}

async function tableFromProc(token: string): Promise<ReadonlyMap<number, Row>> {
  const table = new Map<number, Row>();
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    names.map(async (name) => {
      const pid = Number(name);
      const stat = await readStat(pid);
      if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return;
      const environment = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '');
      table.set(pid, {
        parent: stat.parent,
        carriesToken: carries(environment.split('\0'), token),
      });
    }),
  );
  return table;
}

/** `ps` shows the environment of one's own processes behind the command, separated by blanks. */
async function tableFromPs(token: string): Promise<ReadonlyMap<number, Row>> {
  const table = new Map<number, Row>();
  const listing = await run('ps', ['axeww', '-o', 'pid=,ppid=,stat=,command=']);
  for (const line of (listing ?? '').split('\n')) {
    const [, pid, parent, state = '', rest = ''] =
      /^\s*(\d+)\s+(\d+)\s+(\S+)\s?(.*)$/.exec(line) ?? [];
    if (pid === undefined || state.startsWith('Z')) continue;
    table.set(Number(pid), {
      parent: Number(parent),
      carriesToken: carries(rest.split(' '), token),
    });
  }
  return table;
}

/** A pod inside a pod carries the tokens of both, outer first. */
function carries(variables: readonly string[], token: string): boolean {
  const prefix = `${POD_TOKEN_VARIABLE}=`;
  return variables.some(
    (variable) =>
      variable.startsWith(prefix) && variable.slice(prefix.length).split(':').includes(token),
  );
}

async function readStat(
  pid: number,
): Promise<
  { readonly state: string; readonly parent: number; readonly startTicks: string } | undefined
> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name in parentheses may hold anything, so fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? 'X', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
}

async function bootId(): Promise<string> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => 'boot');
  return text.trim();
}

async function identityByPs(pid: number): Promise<ProcessIdentity | undefined> {
  const line = (await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]))?.trim() ?? '';
  const [, state = 'Z', startedAt = ''] = /^(\S+)\s+(.+)$/.exec(line) ?? [];
  return state.startsWith('Z') || startedAt === '' ? undefined : { pid, startedAt };
}

async function run(file: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(file, args, { maxBuffer: 64 << 20, timeout: 10_000 }, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
}
