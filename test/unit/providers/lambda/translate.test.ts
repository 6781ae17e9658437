import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../../src/core/ids.ts';
import { offerSchema } from '../../../../src/core/offer.ts';
import { gpuOf } from '../../../../src/providers/lambda/gpu.ts';
import { offerIdOf, shapeOf } from '../../../../src/providers/lambda/ids.ts';
import { toOffer } from '../../../../src/providers/lambda/offers.ts';
import { toPod } from '../../../../src/providers/lambda/translate.ts';
import { instanceSchema } from '../../../../src/providers/lambda/wire.ts';
import { fc } from '../../../support/property.ts';
import { instanceRow, typeRow } from './rows.ts';

describe('the GPU of a type', () => {
  it.each([
    ['A10 (24 GB PCIe)', 'A10', 24],
    ['A6000 (48 GB)', 'RTX A6000', 48],
    ['RTX 6000 (24 GB)', 'Quadro RTX 6000', 24],
    ['A100 (40 GB PCIe)', 'A100 PCIE', 40],
    ['A100 (40 GB SXM4)', 'A100 SXM4', 40],
    ['A100 (80 GB SXM4)', 'A100 SXM4', 80],
    ['H100 (80 GB PCIe)', 'H100 PCIE', 80],
    ['H100 (80 GB SXM5)', 'H100 SXM', 80],
    ['B200 (180 GB SXM6)', 'B200', 180],
    ['GH200 (96 GB)', 'GH200', 96],
    ['Tesla V100 (16 GB)', 'Tesla V100', 16],
  ])('%s is %s with %i GB, as other clouds write it (lambda.md 5)', (prose, name, vramGb) => {
    expect(gpuOf(typeRow({ gpu_description: prose }))).toMatchObject({ name, vramGb });
  });

  it('is read from the name of the type where the prose says nothing', () => {
    const row = typeRow({ name: 'gpu_8x_a100_80gb_sxm4', gpu_description: undefined });
    expect(gpuOf(row)).toMatchObject({ name: 'A100 SXM4', vramGb: 80 });
  });

  it('none: machines without one are no offers (lambda.md 5)', () => {
    const specs = { ...typeRow().specs, gpus: 0 };
    expect(gpuOf(typeRow({ name: 'cpu_4x_general', gpu_description: 'N/A', specs }))).toBe(
      undefined,
    );
  });

  it('prose is foreign: nothing but a short name comes of any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (prose) => {
        const { name } = gpuOf(typeRow({ gpu_description: prose })) ?? { name: '' };
        expect(name).toMatch(/^[A-Za-z0-9 .+-]{0,70}$/);
      }),
    );
  });
});

describe('offers', () => {
  it('cents for the whole machine become dollars, and the id is readable (lambda.md 16.5)', () => {
    const offer = toOffer(typeRow(), 'us-west-1', 'California, USA');
    expect(offerSchema.parse(offer)).toMatchObject({
      offerId: 'lambda:gpu_1x_a10@us-west-1',
      usdPerHour: 1.29,
      region: 'us-west-1 (California, USA, US)',
      egressUsdPerGb: 0,
      directSsh: true,
    });
  });

  it('an ARM machine says so (lambda.md 16.13)', () => {
    const row = typeRow({ name: 'gpu_1x_gh200', gpu_description: 'GH200 (96 GB)' });
    expect(toOffer(row, 'us-east-3', '')?.warnings?.join()).toContain('ARM');
    expect(toOffer(typeRow(), 'us-east-3', '')?.warnings?.join()).not.toContain('ARM');
  });

  it.each([
    ['a price of nothing', typeRow({ price_cents_per_hour: 0 })],
    ['a price beyond belief', typeRow({ price_cents_per_hour: 1e9 })],
    ['a name that no id holds', typeRow({ name: 'gpu 1x; rm -rf /' })],
    ['no disk', typeRow({ specs: { ...typeRow().specs, storage_gib: 0 } })],
  ])('%s is no offer', (_, row) => {
    expect(toOffer(row, 'us-west-1', '')).toBeUndefined();
  });

  it('ids are read back as they were written, and others are not', () => {
    const shape = { type: 'gpu_8x_h100_sxm5', region: 'asia-northeast-1' };
    expect(shapeOf(offerIdOf(shape) ?? offerIdSchema.parse('lambda:x'))).toEqual(shape);
    for (const id of ['lambda:no-such-offer', 'lambda:a@b@c', 'lambda:../x', 'vast:1'])
      expect(shapeOf(offerIdSchema.parse(id))).toBeUndefined();
  });
});

describe('a pod', () => {
  it.each([
    ['booting', 'provisioning', undefined],
    ['active', 'running', undefined],
    ['unhealthy', 'unknown', 'host'],
    ['terminating', 'unknown', undefined],
    ['thinking', 'unknown', undefined],
  ])('%s is %s (lambda.md 7, 16.15)', (status, expected, blame) => {
    const pod = toPod(instanceRow({ status }), false);
    expect(pod.status).toBe(expected);
    expect(pod.blame).toBe(blame);
    if (expected === 'unknown') expect(pod.problem).toMatch(/\S/);
  });

  it('is reached as ubuntu at port 22 of its public address, and nowhere while it boots (lambda.md 14, 16.6)', () => {
    expect(toPod(instanceRow(), false).endpoint).toMatchObject({
      host: '198.51.100.2',
      port: 22,
      user: 'ubuntu',
      route: 'direct',
    });
    expect(toPod(instanceRow({ ip: undefined }), false).endpoint).toBeUndefined();
    expect(toPod(instanceRow({ status: 'booting' }), false).endpoint).toBeUndefined();
  });

  it.each(['10.0.0.4', '127.0.0.1', '-oProxyCommand=x', 'a b', ''])(
    'the address %j leads nowhere: it is not public',
    (ip) => {
      expect(toPod(instanceRow({ ip, ssh_port: 2222 }), false).endpoint).toBeUndefined();
    },
  );

  it('a port of its own counts only where the cloud is on this machine', () => {
    const row = instanceRow({ ssh_port: 40_022 });
    expect(toPod(row, false).endpoint?.port).toBe(22);
    expect(toPod({ ...row, ip: '127.0.0.1' }, true).endpoint?.port).toBe(40_022);
  });

  it('the label and the time of creation come from tags: a new name changes nothing (lambda.md 7)', () => {
    const pod = toPod(instanceRow({ name: 'renamed by a person' }), false);
    expect(pod).toMatchObject({ label: 'gl-1', createdAt: '2026-08-06T07:06:40.000Z' });
    expect(toPod(instanceRow({ tags: undefined }), false)).toMatchObject({ label: 'gl-1' });
    expect(toPod(instanceRow({ tags: undefined }), false).createdAt).toBeUndefined();
    const junk = [{ key: 'gpu-lease:created', value: '99999999999999' }];
    expect(toPod(instanceRow({ tags: junk }), false).createdAt).toBeUndefined();
  });

  it('the Jupyter token is not even read (lambda.md 16.9)', () => {
    const row = instanceSchema.parse({
      ...instanceRow(),
      jupyter_token: 'sekret',
      jupyter_url: 'https://x/?token=sekret',
    });
    expect(JSON.stringify([row, toPod(row, false)])).not.toContain('sekret');
  });

  it('fields that may be missing, or are of another kind, do not stop the rest (lambda.md 16.6)', () => {
    const least = { id: 'a1', status: 'active', ip: 7, tags: 'none', instance_type: {} };
    expect(toPod(instanceSchema.parse(least), false)).toMatchObject({
      podId: 'lambda:a1',
      label: '',
      usdPerHour: 0,
      status: 'running',
    });
  });
});
