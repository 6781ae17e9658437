import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { Pod } from '../../../src/core/pods.ts';
import type { PodWithWork } from '../../../src/tools/list-pods.ts';
import { firstThings, podNext } from '../../../src/tools/pod-next.ts';
import { aPod, JOB, POD, SESSION } from '../../support/fake-services.ts';

const pod = (changes: Partial<PodWithWork> = {}): PodWithWork => ({
  ...aPod(),
  sessions: [],
  jobs: [],
  unfetched: [],
  ...changes,
});
const job = (status: PodWithWork['jobs'][number]['status']): PodWithWork['jobs'][number] => ({
  jobId: JOB,
  name: 'x',
  status,
});
const toolsOf = (...pods: PodWithWork[]): string[] => firstThings(pods).map(({ tool }) => tool);

describe('what to do first', () => {
  it('with nothing: look for a machine', () => {
    expect(toolsOf()).toEqual(['find_offer']);
  });
  it('saves finished work before anything else', () => {
    const done = pod({ jobs: [job('completed')], unfetched: [{ jobId: JOB, path: 'a' }] });
    const broken = pod({ status: 'failed' });
    expect(toolsOf(broken, done)).toEqual(['fetch_artifacts', 'destroy']);
  });
  it.each<Pod['status']>(['failed', 'destroying', 'gone'])(
    'waits for the one in the place of a %s pod, and never ends what goes on by itself',
    (status) => {
      const failed = pod({ status, isBeingReplaced: true });
      const wait = { podId: POD, waitFor: 'ready', waitSeconds: 40 };
      expect(podNext(failed)).toMatchObject([{ tool: 'get_pod', arguments: wait }]);
      expect(firstThings([failed])).toMatchObject([{ tool: 'get_pod', arguments: wait }]);
    },
  );
  it('an order of which no machine came is not offered to be ended', () => {
    const podId = podIdSchema.parse('vast:gl-abc123');
    const never = pod({ podId, status: 'failed', usdPerHour: 0.5, spentUsd: 0 });
    expect(podNext(never).map(({ tool }) => tool)).toEqual(['find_offer']);
    const maybe = podNext({ ...never, spentUsd: 0.01 }).map(({ tool }) => tool);
    expect(maybe).toContain('destroy');
  });
  it('a start that takes long is looked into, not only waited for', () => {
    const starting = pod({ status: 'provisioning' });
    expect(podNext(starting).map(({ tool }) => tool)).toEqual(['get_pod']);
    const slow = podNext({ ...starting, problem: '312 s on this rung' });
    expect(slow.map(({ tool }) => tool)).toEqual(['get_pod', 'diagnose']);
  });
  it('does not fetch while the job still runs', () => {
    const busy = pod({ jobs: [job('running')], unfetched: [{ jobId: JOB, path: 'a' }] });
    expect(toolsOf(busy)).toEqual(['job_wait']);
  });
  it('stops paying when all is home', () => {
    expect(firstThings([pod({ jobs: [job('completed')] })])).toMatchObject([
      { tool: 'destroy', arguments: { podId: POD } },
    ]);
  });
  it('a pod that was just made is worked on, not only ended', () => {
    expect(toolsOf(pod())).toEqual(['sync_files', 'destroy']);
    expect(toolsOf(pod({ status: 'stopped' }))).toEqual(['destroy']);
  });
  it('leaves a pod alone whose shell is open', () => {
    expect(toolsOf(pod({ sessions: [{ sessionId: SESSION, state: 'idle' }] }))).toEqual([]);
  });
  it.each<[Pod['status'], string[]]>([
    ['provisioning', ['get_pod']],
    ['unreachable', ['diagnose']],
    ['unknown', ['diagnose']],
    ['destroying', ['destroy']],
    ['cleanup_failed', ['destroy']],
    ['gone', []],
  ])('a managed pod that is %s: %j', (status, tools) => {
    expect(toolsOf(pod({ status }))).toEqual(tools);
  });
  it('never suggests ending a machine of the user or a stranger [MO-01]', () => {
    for (const mode of ['user_managed', 'unmanaged'] as const)
      for (const status of ['ready', 'stopped', 'failed', 'unknown', 'destroying'] as const)
        expect(toolsOf(pod({ mode, status }))).not.toContain('destroy');
  });
  it('is at most three calls', () => {
    expect(toolsOf(...Array.from({ length: 9 }, () => pod({ status: 'failed' }))).length).toBe(3);
  });
});

describe('what to do with one pod', () => {
  const next = podIdSchema.parse('vast:124');
  const stepsOf = (changes: Partial<Pod>): string[] =>
    podNext(aPod(changes)).map(({ tool }) => tool);
  it.each<[Pod['status'], string[]]>([
    ['provisioning', ['get_pod']],
    ['ready', ['sync_files', 'session_open', 'job_start']],
    ['stopped', ['update_pod', 'destroy']],
    ['unreachable', ['diagnose', 'get_pod']],
    ['unknown', ['diagnose', 'get_pod']],
    ['destroying', ['destroy', 'get_pod']],
    ['failed', ['destroy', 'diagnose']],
    ['cleanup_failed', ['destroy', 'get_pod']],
    ['gone', ['report']],
  ])('that is %s: %j', (status, tools) => {
    expect(stepsOf({ status })).toEqual(tools);
    expect(stepsOf({ status, mode: 'user_managed' })).not.toContain('destroy');
  });
  it.each(['failed', 'gone'] as const)(
    'that is %s and was replaced: its successor first',
    (status) => {
      expect(podNext(aPod({ status, replacedBy: next }))[0]).toMatchObject({
        tool: 'get_pod',
        arguments: { podId: next, waitFor: 'ready' },
      });
      const listed = pod({ status, replacedBy: next });
      expect(podNext(listed, listed).map(({ tool }) => tool)).not.toContain('get_pod');
    },
  );
  it('a pod that was outbid comes back by a higher bid', () => {
    const [revive] = podNext(aPod({ status: 'stopped', bidUsdPerHour: 0.2 }));
    expect(revive).toMatchObject({ tool: 'update_pod', arguments: { podId: POD } });
    expect(revive?.why).toContain('bidUsdPerHour above 0.2');
    expect(revive?.arguments).not.toHaveProperty('action');
  });
  it('what may leak money comes before everything else', () => {
    const leaking = pod({ status: 'cleanup_failed' });
    const done = pod({ jobs: [job('completed')], unfetched: [{ jobId: JOB, path: 'a' }] });
    expect(toolsOf(done, leaking)).toEqual(['destroy', 'fetch_artifacts']);
  });
});
