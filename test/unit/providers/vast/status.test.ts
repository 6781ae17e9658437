import { describe, expect, it } from 'vitest';
import { type RecentOrder, situationOf } from '../../../../src/providers/vast/status.ts';
import { fc } from '../../../support/property.ts';
import { contract } from './rows.ts';

const NOW = { recent: undefined, nowSeconds: 1786000100 } as const;
const at = (
  actual: string | null,
  changes: Readonly<Record<string, unknown>> = {},
  recent?: RecentOrder,
) => situationOf(contract({ actual_status: actual, ...changes }), { ...NOW, recent });
const STOPPED = { cur_state: 'stopped', next_state: 'stopped', intended_status: 'stopped' };

describe('the states of vast.md 6.1', () => {
  it.each<[string | null, string]>([
    [null, 'provisioning'],
    ['created', 'provisioning'],
    ['loading', 'provisioning'],
    ['rebooting', 'provisioning'],
    ['recycling', 'provisioning'],
    ['scheduling', 'provisioning'],
    ['running', 'running'],
    ['frozen', 'unknown'],
    ['unknown', 'unknown'],
    ['offline', 'unknown'],
    ['exited', 'failed'],
    ['something new', 'unknown'],
  ])('%s is %s', (actual, status) => {
    expect(at(actual).status).toBe(status);
  });

  it('exited, unknown and offline never become running on a first boot (vast.md 6.3)', () => {
    for (const actual of ['exited', 'unknown', 'offline'])
      expect(at(actual)).toMatchObject({ isHopeless: true, problem: expect.any(String) as string });
    for (const actual of [null, 'created', 'loading', 'running'])
      expect(at(actual).isHopeless).toBeUndefined();
  });

  it('frozen says that the GPU is still charged', () => {
    expect(at('frozen').problem).toContain('charged');
    expect(at('frozen').isHopeless).toBe(true);
  });
});

describe('the failures of vast.md 6.3', () => {
  it.each([
    'Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process',
    'nvidia-container-cli: initialization error: nvml error: driver not loaded',
  ])('created with a runtime error is the fault of the host: %s', (status_msg) => {
    expect(at('created', { status_msg })).toMatchObject({
      status: 'failed',
      isHopeless: true,
      blame: 'host',
    });
  });

  it.each([
    'Error response from daemon: manifest for pytorch/pytorch:nope not found: manifest unknown: manifest unknown',
    'Error response from daemon: pull access denied for priv/ate, repository does not exist or may require docker login',
    'unauthorized: authentication required',
    'no matching manifest for linux/amd64 in the manifest list entries',
  ])('an image error is the fault of the image: %s', (status_msg) => {
    for (const actual of [null, 'created', 'loading', 'exited'])
      expect(at(actual, { status_msg })).toMatchObject({ status: 'failed', blame: 'image' });
  });

  it('a full disk asks for a larger one, a pull limit for another host', () => {
    expect(at('loading', { status_msg: 'write /x: no space left on device' })).toMatchObject({
      blame: 'image',
      problem: expect.stringContaining('diskGb') as string,
    });
    expect(
      at('loading', { status_msg: 'toomanyrequests: You have reached your pull rate limit' }),
    ).toMatchObject({ blame: 'host' });
  });

  it('what a running pod printed is no failure', () => {
    expect(at('running', { status_msg: 'OCI runtime create failed' })).toEqual({
      status: 'running',
    });
  });

  it('pull lines are no failure', () => {
    expect(at('loading', { status_msg: '4f4fb700ef54: Pull complete' })).toEqual({
      status: 'provisioning',
    });
  });

  it('all three stopped before it ever ran: the host gave up', () => {
    expect(at('loading', STOPPED)).toMatchObject({ status: 'failed', blame: 'host' });
    expect(at(null, STOPPED)).toMatchObject({ status: 'failed', blame: 'host' });
  });

  it('cur_state alone proves nothing: a fresh rental may say stopped (vast.md 6.2)', () => {
    expect(at('loading', { cur_state: 'stopped' })).toEqual({ status: 'provisioning' });
  });
});

describe('stopped', () => {
  it('by us: stopped or exited when that was intended', () => {
    for (const actual of ['stopped', 'exited'])
      expect(at(actual, STOPPED)).toEqual({ status: 'stopped' });
  });

  it('outbid, whether stopped or running is intended: raise the bid or destroy', () => {
    for (const intended_status of ['stopped', 'running'])
      for (const actual of ['stopped', 'exited'])
        expect(at(actual, { ...STOPPED, intended_status, is_bid: true })).toMatchObject({
          status: 'stopped',
          blame: 'outbid',
          problem: expect.stringMatching(/raise the bid, or destroy/) as string,
        });
  });

  it('asked to run without a GPU: the start is queued and would be charged', () => {
    const queued = { cur_state: 'scheduling', intended_status: 'running' };
    expect(at('stopped', queued)).toMatchObject({
      status: 'stopped',
      problem: expect.stringContaining('when the GPU is free') as string,
    });
  });

  it('exited right after a start or restart is only the state before (vast.md 16.17)', () => {
    expect(at('exited', {}, 'start')).toEqual({ status: 'provisioning' });
    expect(at('exited', { cur_state: 'stopped' }, 'start')).toEqual({ status: 'provisioning' });
    expect(at('exited', { status_msg: 'OCI runtime create failed' }, 'start').status).toBe(
      'provisioning',
    );
    expect(at('exited').status).toBe('failed');
  });

  it('right after a stop nothing is a failure', () => {
    for (const actual of ['exited', 'stopped', 'loading'])
      expect(at(actual, STOPPED, 'stop')).toEqual({ status: 'stopped' });
    expect(at('exited', {}, 'stop')).toEqual({ status: 'stopped' });
  });

  it('the end of the rental is told, but not while it runs', () => {
    const over = { end_date: NOW.nowSeconds - 1 };
    expect(at('stopped', { ...STOPPED, ...over })).toMatchObject({
      isHopeless: true,
      problem: expect.stringContaining('48 hours') as string,
    });
    expect(at('running', over)).toEqual({ status: 'running' });
  });

  it('released on destroy is neither running nor stopped', () => {
    expect(at('running', { cur_state: 'unloaded' }).status).toBe('unknown');
  });
});

it('any row has a situation, in our own words', () => {
  const state = fc.option(
    fc.constantFrom('running', 'stopped', 'exited', 'loading', 'offline', 'unloaded', 'x', ''),
  );
  fc.assert(
    fc.property(
      state,
      state,
      state,
      state,
      fc.string(),
      fc.boolean(),
      (a, b, c, d, msg, is_bid) => {
        const row = contract({
          actual_status: a,
          intended_status: b,
          cur_state: c,
          next_state: d,
          status_msg: msg,
          is_bid,
        });
        const { status, problem } = situationOf(row, NOW);
        expect(status === 'running').toBe(a === 'running' && c !== 'unloaded');
        if (msg.length > 20) expect(problem ?? '').not.toContain(msg);
      },
    ),
  );
});
