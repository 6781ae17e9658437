import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

/**
 * Pids of the processes of this machine whose command line (or also environment) holds `text`; never our own.
 * Where a process may not be read, it is not ours.
 */
export async function processesMentioning(
  text: string,
  where: 'command' | 'command_or_environment',
): Promise<readonly number[]> {
  const found =
    process.platform === 'linux' ? await fromProc(text, where) : await fromPs(text, where);
  return found.filter((pid) => pid !== process.pid);
}

async function fromProc(text: string, where: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    const command = await words(`/proc/${pid}/cmdline`);
    const environment = where === 'command' ? '' : await words(`/proc/${pid}/environ`);
    if (command.includes(text) || environment.includes(text)) found.push(Number(pid));
  }
  return found;
}

async function words(file: string): Promise<string> {
  const bytes = await readFile(file, 'utf8').catch(() => '');
  return bytes.replaceAll('\0', ' ');
}

async function fromPs(text: string, where: string): Promise<readonly number[]> {
  const args = where === 'command' ? ['axww'] : ['axeww'];
  const listing = await new Promise<string>((resolve) => {
    execFile('ps', [...args, '-o', 'pid=,command='], { maxBuffer: 64 << 20 }, (_error, stdout) => {
      resolve(stdout);
    });
  });
  return listing
    .split('\n')
    .filter((line) => line.includes(text) && !line.includes('ps ax'))
    .map((line) => Number.parseInt(line, 10));
}
