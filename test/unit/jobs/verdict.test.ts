import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { jobIdSchema, podIdSchema } from '../../../src/core/ids.ts';
import type { Job } from '../../../src/core/job.ts';
import { type Look, lookFrom, lookScript } from '../../../src/jobs/look.ts';
import { jobAfter, signalOf, workOf } from '../../../src/jobs/verdict.ts';

const job: Job = {
  jobId: jobIdSchema.parse('job_abcdef123'),
  podId: podIdSchema.parse('local:a'),
  name: 'train',
  command: 'train',
  cwd: '/work',
  folder: '/home/.gpu-lease/jobs/job_abcdef123',
  status: 'running',
  artifacts: [],
  maxRuntimeMinutes: 5,
  createdAt: '2026-01-01T00:00:00.000Z',
  envNames: [],
};
const look = (extra: Partial<Look>): Look => ({
  state: 'running',
  phase: 'command',
  now: 1_800_000_000,
  size: 10,
  stdoutBytes: 10,
  stderrBytes: 0,
  stdoutTail: '',
  stderrTail: '',
  offset: 0,
  bytes: Buffer.alloc(0),
  ...extra,
});
const at = '2026-01-01T01:00:00.000Z';

describe('what the pod says becomes the status', () => {
  it.each<[Partial<Look>, Job['status']]>([
    [{}, 'running'],
    [{ phase: 'smoke' }, 'bootstrapping'],
    [{ state: 'fresh' }, 'bootstrapping'],
    [{ state: 'orphan' }, 'running'],
    [{ state: 'ended', exitCode: 0 }, 'completed'],
    [{ state: 'ended', exitCode: 1 }, 'failed'],
    [{ state: 'ended' }, 'failed'],
    [{ state: 'ended', exitCode: 0, end: 'timed_out' }, 'timed_out'],
    [{ state: 'ended', exitCode: 143, end: 'cancelled' }, 'cancelled'],
    [{ state: 'ended', exitCode: 3, end: 'disk_full' }, 'failed'],
    [{ state: 'ended', exitCode: 0, end: 'something else' }, 'failed'],
    [{ state: 'dead' }, 'lost'],
    [{ state: 'dead', end: 'timed_out' }, 'timed_out'],
    [{ state: 'reboot' }, 'lost'],
    [{ state: 'absent' }, 'lost'],
    [{ state: 'never', end: 'never_started' }, 'lost'],
  ])('%j is %s [JO-04]', (extra, status) => {
    expect(jobAfter(job, look(extra), at).status).toBe(status);
  });

  it.each([
    ['disk_full', 3, 'disk_full'],
    ['cwd_missing', 127, 'folder_missing'],
  ])('%s before the command ran leaves no exit code of it', (end, exitCode, notStarted) => {
    const fields = Object.entries(look({ state: 'ended', exitCode, end }));
    const unstarted = Object.fromEntries(fields.filter(([name]) => name !== 'phase')) as Look;
    const after = jobAfter(job, unstarted, at);
    expect(after).toMatchObject({ status: 'failed', notStarted });
    expect(after).not.toHaveProperty('exitCode');
    expect(workOf(after, unstarted).evidence.join(' ')).toMatch(/^It did not start: /);
    const ran = jobAfter(job, look({ state: 'ended', exitCode, end, startedAt: 1 }), at);
    expect(ran).toMatchObject({ status: 'failed', exitCode });
  });

  it('never changes what has ended', () => {
    const ended: Job = { ...job, status: 'failed', exitCode: 1 };
    expect(jobAfter(ended, look({ state: 'ended', exitCode: 0 }), at)).toBe(ended);
  });

  it('names the signal', () => {
    expect(signalOf(137)).toBe('SIGKILL');
    expect(signalOf(164)).toBe('signal 36');
    expect(signalOf(1)).toBeUndefined();
    expect(signalOf(255)).toBeUndefined();
  });
});

describe('useful work takes three signs [WA-12] [WA-11]', () => {
  it.each<[string, Partial<Look>, string]>([
    [
      'log grows',
      { logAgeSeconds: 3, artifactAgeSeconds: 9999, activeAgeSeconds: 9999, gpuPercent: 0 },
      'working',
    ],
    [
      'only files move',
      { logAgeSeconds: 9999, artifactAgeSeconds: 20, activeAgeSeconds: 9999, gpuPercent: 0 },
      'working',
    ],
    [
      'only the GPU is busy',
      { logAgeSeconds: 9999, activeAgeSeconds: 9999, gpuPercent: 80 },
      'working',
    ],
    [
      'only the processor is busy',
      { logAgeSeconds: 9999, activeAgeSeconds: 5, gpuPercent: 0 },
      'working',
    ],
    [
      'all silent for ten minutes',
      { logAgeSeconds: 700, artifactAgeSeconds: 800, activeAgeSeconds: 650, gpuPercent: 0 },
      'stalled',
    ],
    ['all silent for five', { logAgeSeconds: 300, activeAgeSeconds: 300 }, 'waiting'],
    ['nothing known', {}, 'unknown'],
  ])('%s', (_what, extra, state) => {
    expect(workOf(job, look(extra)).state).toBe(state);
  });

  it('is unknown when nobody could look, with the age of the last look [WA-07]', () => {
    const work = workOf({ ...job, status: 'running_unreachable', observedAt: at }, undefined);
    expect(work.state).toBe('unknown');
    expect(work.evidence[0]).toContain(at);
  });
});

describe('the answer of a pod', () => {
  it('that is not ours is refused', () => {
    for (const text of ['', 'welcome', 'gpu-lease-look\nstate bogus\n\ngpu-lease-page\n'])
      expect(() => lookFrom(Buffer.from(text), '')).toThrow(/pod/);
  });

  it('may come after a banner, and its page may hold anything', () => {
    const answer =
      'hi\n\ngpu-lease-look\nnow 5\nstate running\nsize 3\noffset 0\nend \n\ngpu-lease-page\n\ngpu-lease-page\n\0';
    const seen = lookFrom(Buffer.from(answer), '');
    expect(seen.state).toBe('running');
    expect(seen.end).toBeUndefined();
    expect(seen.bytes.toString()).toBe('\ngpu-lease-page\n\0');
  });

  it('is asked for with artifact names as data', () => {
    const script = lookScript({
      jobId: job.jobId,
      stream: 'stdout',
      offset: 0,
      maxBytes: 1,
      waitSeconds: 0,
      artifacts: ['out/*.pt', "a'; touch hacked; '$(x)", '-rf', '/abs/x y'],
      cwd: '/w',
      until: 'page',
      mayClaim: false,
    });
    expect(script).toContain(
      `newest ./out/*.pt ./'a'\\''; touch hacked; '\\''$(x)' ./-rf '/abs/x y'`,
    );
  });
});
