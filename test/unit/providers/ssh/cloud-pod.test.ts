import { expect, it } from 'vitest';
import { InputError } from '../../../../src/core/errors.ts';
import { podIdSchema } from '../../../../src/core/ids.ts';
import type { Machines } from '../../../../src/core/machine.ts';
import type { Provider, ProviderPod, Providers } from '../../../../src/core/provider.ts';
import { createCloudPods } from '../../../../src/providers/ssh/cloud-pod.ts';

const { signal } = new AbortController();
const podId = podIdSchema.parse('runpod:abc');
const endpoint = { podId, host: '203.0.113.9', port: 7, user: 'root', route: 'direct' } as const;
const unknown: Machines = {
  endpoint: async () => Promise.reject(new InputError('not_found', 'No lease.')),
};
function open(
  managed: Machines,
  pod?: Partial<ProviderPod>,
): { machines: Machines; calls: string[] } {
  const calls: string[] = [];
  const provider = {
    getPod: async (id: string) => {
      calls.push(id);
      return Promise.resolve(pod);
    },
  } as unknown as Provider;
  const providers: Providers = new Map([['runpod', provider]]);
  return { machines: createCloudPods(providers, managed), calls };
}

it('a pod of ours is asked for by its lease', async () => {
  const managed: Machines = { endpoint: async () => Promise.resolve(endpoint) };
  const { machines, calls } = open(managed);
  expect(await machines.endpoint(podId, { signal })).toEqual(endpoint);
  expect(calls).toEqual([]);
});

it('a pod that the person made is asked for at its cloud, with one call [PR-09]', async () => {
  const { machines, calls } = open(unknown, { endpoint });
  expect(await machines.endpoint(podId, { signal })).toEqual(endpoint);
  expect(calls).toEqual([podId]);
});

it('a pod of another account, one without a public port, and a cloud without a key are told apart', async () => {
  await expect(open(unknown).machines.endpoint(podId, { signal })).rejects.toMatchObject({
    code: 'not_found',
    hint: expect.stringContaining('account that owns the pod') as string,
  });
  await expect(open(unknown, {}).machines.endpoint(podId, { signal })).rejects.toMatchObject({
    code: 'pod_not_ready',
    hint: expect.stringContaining('22/tcp') as string,
  });
  const without = createCloudPods(new Map(), unknown);
  await expect(without.endpoint(podId, { signal })).rejects.toMatchObject({
    code: 'config_missing',
  });
});

it('what a lease says for certain is not asked twice', async () => {
  const gone: Machines = {
    endpoint: async () => Promise.reject(new Error('gone for good')),
  };
  const { machines, calls } = open(gone, { endpoint });
  await expect(machines.endpoint(podId, { signal })).rejects.toThrow('gone for good');
  expect(calls).toEqual([]);
});
