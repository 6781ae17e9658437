import { readFileSync } from 'node:fs';
import { prove } from '../../src/files/prove.ts';

/** Proves each file that the list names, in a process of its own, and prints verdicts, the time of the processor and the peak of memory. */
const files = readFileSync(process.argv[2] ?? '', 'utf8').split('\n');
const startKb = peakKb();
const verdicts: unknown[] = [];
for (const file of files) {
  const before = process.cpuUsage();
  const verdict = await prove(file, { limit: 'loaded', signal: AbortSignal.timeout(60_000) });
  const { user, system } = process.cpuUsage(before);
  verdicts.push({ file, ...verdict, cpuSeconds: (user + system) / 1e6, peakKb: peakKb() });
}
process.stdout.write(JSON.stringify({ verdicts, startKb, peakKb: peakKb() }));

/** Where the kernel tells it, without what the process that started this one had. */
function peakKb(): number {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
    if (found?.[1] !== undefined) return Number(found[1]);
  } catch {
    // No such file on this system.
  }
  return process.resourceUsage().maxRSS;
}
