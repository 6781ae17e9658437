import { describe, expect, it } from 'vitest';
import {
  capabilityOf,
  gpusMeantBy,
  namesakesOf,
  nearestGpus,
} from '../../../src/leases/gpu-catalog.ts';
import { gpuMatcher, gpuNameOf, isGpuMatch, isSameGpu } from '../../../src/leases/gpu-name.ts';
import { fc } from '../../support/property.ts';

describe('reading the name of a GPU [OF-07]', () => {
  it.each([
    ['NVIDIA A100-SXM4-80GB', { model: 'a100', variants: [], form: 'sxm', vramGb: 80 }],
    ['a100 80', { model: 'a100', variants: [], vramGb: 80 }],
    ['rtx4090', { model: '4090', variants: [] }],
    ['RTX_4070S Ti', { model: '4070', variants: ['super', 'ti'] }],
    ['GeForce RTX 3070 Laptop GPU', { model: '3070', variants: ['laptop'] }],
    ['RTX 6000Ada', { model: '6000', variants: ['ada'] }],
    ['NVIDIA H100 80GB HBM3', { model: 'h100', variants: [], form: 'sxm', vramGb: 80 }],
    ['NVIDIA GH200 480GB', { model: 'gh200', variants: [] }],
    ['Q RTX 8000', { model: '8000', variants: [] }],
    ['h100sxm', { model: 'h100', variants: [], form: 'sxm' }],
  ])('%s', (name, expected) => {
    expect(gpuNameOf(name)).toMatchObject(expected);
  });

  it.each([
    ['h100 nvl', 'H100 NVL', 94, true],
    ['h100 nvl', 'H100 SXM', 80, false],
    ['rtx 6000', 'RTX 6000Ada', 48, false],
    ['rtx 6000 ada', 'RTX 6000Ada', 48, true],
    ['a6000', 'RTX 6000Ada', 48, false],
    ['rtx pro 6000', 'RTX PRO 6000 WS', 96, true],
    ['l40', 'L40S', 48, false],
    ['4080 super', 'RTX 4080S', 16, true],
    ['titan', 'Titan V', 12, true],
    ['a100 40', 'A100 PCIE', 40, true],
  ])('"%s" and "%s" of %d GB: %s', (wanted, offered, vramGb, expected) => {
    expect(isGpuMatch(wanted, offered, vramGb)).toBe(expected);
    expect(gpuMatcher(['nothing', wanted])(offered, vramGb)).toBe(expected);
  });

  it.each([
    ['NVIDIA RTX PRO 6000 Blackwell Workstation Edition', 'RTX PRO 6000 WS', true],
    ['Tesla V100-SXM2-16GB', 'Tesla V100', true],
    ['NVIDIA GeForce RTX 4090', 'RTX 4090', true],
    ['NVIDIA GeForce RTX 4090 D', 'RTX 4090', false],
    ['NVIDIA H100 PCIe', 'H100 SXM', false],
    ['NVIDIA GeForce RTX 3090', 'RTX 4090', false],
  ])('the driver says "%s", the offer "%s": %s', (driver, offer, expected) => {
    expect(isSameGpu(driver, offer)).toBe(expected);
  });

  it('reads anything, in any spelling the same', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        expect(typeof gpuNameOf(text).model).toBe('string');
        expect(gpuNameOf(text.toUpperCase()).model).toBe(gpuNameOf(text.toLowerCase()).model);
      }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('RTX 4090', 'A100 SXM4', 'RTX 4080 Super', 'H100 NVL', 'RTX 6000 Ada'),
        fc.constantFrom(' ', '_', '-', '  '),
        fc.boolean(),
        (name, gap, isLoud) => {
          const spelled = name.replaceAll(' ', gap);
          expect(isGpuMatch(isLoud ? spelled.toUpperCase() : spelled.toLowerCase(), name)).toBe(
            true,
          );
        },
      ),
    );
  });
});

describe('what a wish can mean [OF-07]', () => {
  it('names every kind of a family', () => {
    expect(gpusMeantBy('a100')).toEqual([
      'A100 PCIE 40 GB',
      'A100 PCIE 80 GB',
      'A100 SXM4 40 GB',
      'A100 SXM4 80 GB',
    ]);
    expect(gpusMeantBy('H100 SXM')).toEqual(['H100 SXM 80 GB']);
    expect(gpusMeantBy('4090')).toEqual(['RTX 4090 24 GB']);
    expect(gpusMeantBy('h1000')).toEqual([]);
  });

  it('knows namesakes and the nearest names', () => {
    expect(namesakesOf('rtx 6000')).toEqual(['RTX 6000 Ada', 'RTX PRO 6000']);
    expect(nearestGpus('h1000')).toEqual(['H100 NVL', 'H100 PCIE', 'H100 SXM']);
    expect(nearestGpus('rtx 4090x')[0]).toBe('RTX 4090');
  });

  it.each([
    ['RTX 5090', 12],
    ['NVIDIA GeForce RTX 4090', 8.9],
    ['H100 SXM', 9],
    ['B200', 10],
    ['Titan RTX', 7.5],
    ['MI300X', undefined],
    ['something', undefined],
  ])('%s has compute capability %s', (name, capability) => {
    expect(capabilityOf(name)).toBe(capability);
  });
});
