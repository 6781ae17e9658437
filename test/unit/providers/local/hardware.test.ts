import { expect, it } from 'vitest';
import { offerSchema } from '../../../../src/core/offer.ts';
import { parseGpus, toOffers } from '../../../../src/providers/local/hardware.ts';

const machine = { vcpu: 16, ramGb: 64, freeDiskGb: 500 };

it('a 24,564 MiB card counts as 24; one offer a model, rehearsal last', () => {
  const gpus = parseGpus(
    'NVIDIA GeForce RTX 4090, 24564\nNVIDIA GeForce RTX 4090, 24564\nNVIDIA A100-SXM4-80GB, 81920\n',
  );
  const offers = toOffers({ ...machine, gpus }).map((offer) => offerSchema.parse(offer));
  expect(offers.map(({ offerId, gpuCount, vramGb }) => [offerId, gpuCount, vramGb])).toEqual([
    ['local:geforce-rtx-4090-24gb-x2', 2, 24],
    ['local:a100-sxm4-80gb-80gb-x1', 1, 80],
    ['local:cpu', 0, undefined],
  ]);
  expect(offers.map((offer) => offer.rehearsal)).toEqual([undefined, undefined, true]);
});

it('what nvidia-smi says when it fails is no GPU', () => {
  const failure = 'NVIDIA-SMI has failed because it could not communicate with the driver.\n';
  expect(parseGpus(failure)).toEqual([]);
  expect(parseGpus('No devices were found\n\n, 12\nGPU, [N/A]\n')).toEqual([]);
});
