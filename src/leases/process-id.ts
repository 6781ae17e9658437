import { readFileSync } from 'node:fs';

/**
 * A process in a way that a reused pid does not confuse: "pid@boot@start". Where the system does not tell the start,
 * the pid alone.
 */
export function processIdOf(pid: number): string {
  return [pid, bootId(), startOf(pid)].filter((part) => part !== undefined).join('@');
}

/** Whether the process that called itself `processId` still runs. */
export function isProcessAlive(processId: string): boolean {
  const pid = Number(processId.split('@')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (failure) {
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'EPERM')) return false;
  }
  return !processId.includes('@') || processIdOf(pid) === processId;
}

function bootId(): string | undefined {
  return read('/proc/sys/kernel/random/boot_id')?.trim();
}
/** Clock ticks from boot to the start of the process; its name in brackets may hold anything. */
function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
