import { describe, expect, it } from 'vitest';
import { judge } from '../../../../src/providers/local/look.ts';

const process = { pid: 1, startedAt: 'x' };
const at = '2026-01-01T00:00:00.000Z';
const state = (status: 'starting' | 'running' | 'stopped' | 'failed') =>
  ({ status, process, updatedAt: at }) as const;
const order = (wanted: 'run' | 'stop' | 'destroy') => ({ order: wanted, at }) as const;
const dead = { isServed: false, isEnding: false, mayStart: false };
const alive = { ...dead, isServed: true };

describe('what the files and processes of a pod amount to', () => {
  it.each([
    [
      'just ordered',
      { ...dead, mayStart: true, state: undefined, order: order('run') },
      'provisioning',
    ],
    ['never came', { ...dead, state: undefined, order: order('run') }, 'failed'],
    ['coming up', { ...alive, state: state('starting'), order: order('run') }, 'provisioning'],
    ['up', { ...alive, state: state('running'), order: order('run') }, 'running'],
    ['died', { ...dead, state: state('running'), order: order('run') }, 'failed'],
    ['stopped', { ...dead, state: state('stopped'), order: order('stop') }, 'stopped'],
    [
      'stopped by its deadline',
      { ...dead, state: state('stopped'), order: order('run') },
      'stopped',
    ],
    [
      'started again',
      { ...dead, mayStart: true, state: state('stopped'), order: order('run') },
      'provisioning',
    ],
    ['being removed', { ...alive, state: state('running'), order: order('destroy') }, 'running'],
    [
      'being removed, server gone',
      { ...dead, isEnding: true, state: state('stopped'), order: order('destroy') },
      'running',
    ],
    ['removal died', { ...dead, state: state('stopped'), order: order('destroy') }, 'failed'],
    ['could not end', { ...dead, state: state('failed'), order: order('run') }, 'failed'],
  ] as const)('%s', (_name, evidence, status) => {
    expect(judge(evidence).status).toBe(status);
  });
});
