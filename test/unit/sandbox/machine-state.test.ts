import { expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { ProviderPod } from '../../../src/core/provider.ts';
import { stateOf } from '../../../src/sandbox/machine-state.ts';
import type { MachineState } from '../../../src/sandbox/machines.ts';

const podId = podIdSchema.parse('local:abcdefgh');
const endpoint = { podId, host: '127.0.0.1', port: 9, user: 'gpu', route: 'direct' } as const;
const pod = (status: ProviderPod['status']): ProviderPod => ({
  podId,
  label: 'x',
  status,
  usdPerHour: 0,
  ...(status === 'running' ? { endpoint } : {}),
});
const AT = { status: 'running', host: '127.0.0.1', port: 9 } as const;

it.each<readonly [ProviderPod['status'] | 'gone', 'run' | 'stop', number, MachineState]>([
  ['provisioning', 'run', 0, { status: 'starting' }],
  ['running', 'run', 0, AT],
  ['failed', 'run', 0, { status: 'failed' }],
  ['unknown', 'run', 0, { status: 'starting' }],
  ['gone', 'run', 0, { status: 'gone' }],
  // A restart: what is seen is still the old one, or between the two.
  ['running', 'run', 1, { status: 'starting' }],
  ['stopped', 'run', 1, { status: 'starting' }],
  // Being stopped: it has no address any more, and is not stopped before its processes are gone.
  ['running', 'stop', 1, { status: 'running' }],
  ['stopped', 'stop', 1, { status: 'running' }],
  ['stopped', 'stop', 0, { status: 'stopped' }],
  ['failed', 'stop', 0, { status: 'stopped' }],
  ['gone', 'stop', 0, { status: 'gone' }],
])('a pod that is %s and shall %s, with %i orders to come: %j', (seen, wanted, pending, state) => {
  expect(stateOf(seen === 'gone' ? undefined : pod(seen), { wanted, pending })).toEqual(state);
});
