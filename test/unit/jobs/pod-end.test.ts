import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import { podIdSchema } from '../../../src/core/ids.ts';
import { type Job, jobSchema } from '../../../src/core/job.ts';
import type { Lease } from '../../../src/core/lease.ts';
import type { Remote } from '../../../src/core/remote.ts';
import type { Store } from '../../../src/core/store.ts';
import { createJobs } from '../../../src/jobs/jobs.ts';
import { nearEndWords, podEndOf, shortLifeWords } from '../../../src/jobs/pod-end.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';

const podId = podIdSchema.parse('local:p1');
const signal = new AbortController().signal;
const START = '2026-01-01T00:00:00.000Z';

async function storeWith(changes: Partial<Lease>): Promise<Store> {
  const store = createMemoryStore();
  const lease = {
    leaseId: 'l1',
    podId,
    state: 'open',
    deadlineAt: '2026-01-01T00:01:12.000Z',
    terms: { onExpiry: 'destroy' },
    ...changes,
  };
  await store.leases.put('l1', lease as Lease);
  return store;
}
const job: Job = jobSchema.parse({
  jobId: 'job_aaaaaaaaaaaaaaaa',
  podId,
  name: 'train',
  command: 'train',
  cwd: '/w',
  folder: '/w/.gpu-lease/jobs/x',
  status: 'running',
  artifacts: [],
  maxRuntimeMinutes: 360,
  createdAt: START,
  startedAt: START,
  envNames: [],
});
function jobsOf(store: Store, clock: ManualClock) {
  const gone = async () => Promise.reject(new RemoteError('pod_gone', 'This pod is gone.'));
  const remote: Partial<Remote> = { exec: gone, stream: gone };
  return createJobs({
    remote: remote as Remote,
    store,
    clock,
    home: '/nowhere',
    secrets: { value: () => undefined },
    diagnose: () => [],
  });
}

describe('a job whose pod is gone', () => {
  it('is lost in every list at once, and ended with its pod, not when somebody looked', async () => {
    const endedAt = '2026-01-01T00:01:12.000Z';
    const store = await storeWith({ state: 'closed', endedAt });
    await store.jobs.put(job.jobId, job);
    const clock = new ManualClock();
    clock.advance(157);
    const jobs = jobsOf(store, clock);
    expect(await jobs.list(podId)).toMatchObject([{ status: 'lost', endedAt }]);
    expect(await jobs.get(job.jobId)).toMatchObject({ status: 'lost', endedAt });
    const report = await jobs.wait(job.jobId, { waitSeconds: 0, maxBytes: 100 }, { signal });
    expect(report).toMatchObject({ status: 'lost', runtimeSeconds: 72 });
  });

  it('ended at the deadline at the latest, when the lease does not know yet', async () => {
    const store = await storeWith({});
    await store.jobs.put(job.jobId, job);
    const clock = new ManualClock();
    clock.advance(157);
    const report = await jobsOf(store, clock).wait(
      job.jobId,
      { waitSeconds: 0, maxBytes: 100 },
      { signal },
    );
    expect(report).toMatchObject({ status: 'lost', runtimeSeconds: 72 });
  });

  it('a pod whose lease is open takes no job with it', async () => {
    const store = await storeWith({});
    await store.jobs.put(job.jobId, job);
    expect(await jobsOf(store, new ManualClock()).list()).toMatchObject([{ status: 'running' }]);
  });
});

describe('a pod that ends before its job', () => {
  const now = new Date(START);

  it('is said with the time, what is lost and what to do', async () => {
    const end = await podEndOf(await storeWith({}), podId);
    expect(shortLifeWords(end, job, now)).toBe(
      'The pod ends in 72 s (2026-01-01T00:01:12Z), before the limit of the job (360 min), with every file that is not home by then. update_pod with ttlMinutes gives it longer.',
    );
    expect(shortLifeWords(end, { ...job, maxRuntimeMinutes: 1 }, now)).toBeUndefined();
    expect(nearEndWords(end, job, now)).toContain('ends in 72 s');
    const declaring = { ...job, artifacts: ['out'] };
    for (const words of [shortLifeWords(end, declaring, now), nearEndWords(end, declaring, now)])
      expect(words).toContain(
        '. Declared artifacts are brought home before that as far as there is time; every other file goes with it.',
      );
  });

  it('a pod that stops keeps its files', async () => {
    const terms = { onExpiry: 'stop' } as Lease['terms'];
    const end = await podEndOf(await storeWith({ terms }), podId);
    expect(shortLifeWords(end, job, now)).toContain('stops in 72 s');
    expect(shortLifeWords(end, job, now)).not.toContain('file');
  });

  it('nothing is said of machines of the user, of far ends, and of deadlines that cannot be read', async () => {
    expect(await podEndOf(createMemoryStore(), podId)).toBeUndefined();
    expect(await podEndOf(await storeWith({ deadlineAt: 'soon' }), podId)).toBeUndefined();
    const far = await podEndOf(await storeWith({ deadlineAt: '2026-01-01T06:00:00.000Z' }), podId);
    expect(nearEndWords(far, job, now)).toBeUndefined();
    expect(shortLifeWords(undefined, job, now)).toBeUndefined();
  });
});
