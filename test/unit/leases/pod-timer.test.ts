import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeScript } from '../../../src/leases/pod-timer.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

let home = '';
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'pod-timer-'));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});
const file = '.gpu-lease/deadline';
const shell = (script: string): string =>
  execFileSync('sh', ['-c', script], { cwd: home, encoding: 'utf8' });

describe('the timer on the pod', () => {
  it('is told by a new file and a rename, with nothing left over, and read back', () => {
    for (const epoch of ['1893456000', '1893459600'])
      expect(shell(writeScript(file, epoch)).trim()).toBe(epoch);
    expect(readFileSync(path.join(home, file), 'utf8')).toBe('1893459600\n');
    expect(readdirSync(path.join(home, '.gpu-lease'))).toEqual(['deadline']);
  });

  it('is told when the pod becomes ready, and again when the deadline moves [CO-05]', async () => {
    const bench = createLeaseBench({ cloud: { deadlineFile: file, canHoldDeadlines: false } });
    bench.world.run = shell;
    const told = (): string => readFileSync(path.join(home, file), 'utf8').trim();
    const outcome = await bench.create();
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const epochOf = (iso = ''): string => String(Math.floor(Date.parse(iso) / 1000));
    expect(told()).toBe(epochOf(outcome.pod.deadlineAt));
    expect(outcome.pod.problem).toBeUndefined();
    const { podId } = outcome.pod;
    const { pod } = await bench.pods.update(podId, { ttlMinutes: 30 }, bench.options);
    expect(told()).toBe(epochOf(pod.deadlineAt));
    expect(pod.problem).toBeUndefined();
  });

  it('that cannot be told is told again, and until then the pod says so', async () => {
    const bench = createLeaseBench({ cloud: { deadlineFile: file, canHoldDeadlines: false } });
    bench.world.run = shell;
    const outcome = await bench.create();
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    bench.world.run = (script) => shell(script).replace(/^\d+/, '7');
    const { podId } = outcome.pod;
    const { pod } = await bench.pods.update(podId, { ttlMinutes: 60 }, bench.options);
    expect(pod).toMatchObject({
      status: 'ready',
      problem: expect.stringContaining('timer') as string,
    });
    bench.world.run = shell;
    await bench.pods.tend(bench.options);
    const { pod: after } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(after.problem).toBeUndefined();
    const before = bench.world.runs;
    await bench.pods.tend(bench.options);
    expect(bench.world.runs).toBe(before);
  });
});
