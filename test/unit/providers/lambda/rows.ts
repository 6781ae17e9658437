import type { Instance, InstanceType } from '../../../../src/providers/lambda/wire.ts';

export function typeRow(changes: Partial<InstanceType> = {}): InstanceType {
  return {
    name: 'gpu_1x_a10',
    description: '1x A10 (24 GB PCIe)',
    gpu_description: 'A10 (24 GB PCIe)',
    price_cents_per_hour: 129,
    specs: { vcpus: 30, memory_gib: 200, storage_gib: 1400, gpus: 1 },
    ...changes,
  };
}

export function instanceRow(changes: Partial<Instance> = {}): Instance {
  return {
    id: '0920582c7ff041399e34823a0be62549',
    status: 'active',
    name: 'gl-1',
    ip: '198.51.100.2',
    region: { name: 'us-west-1', description: 'California, USA' },
    instance_type: typeRow(),
    tags: [
      { key: 'gpu-lease:label', value: 'gl-1' },
      { key: 'gpu-lease:created', value: '1786000000' },
    ],
    ...changes,
  };
}
