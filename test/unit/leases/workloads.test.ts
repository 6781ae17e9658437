import { describe, expect, it } from 'vitest';
import { imageByName, imageFor, troubleWith } from '../../../src/leases/workloads.ts';
import { anOffer } from '../../support/fake-provider.ts';

const at = (gpu: string, cuda: number, capability?: number) =>
  anOffer({ gpu, cuda, ...(capability === undefined ? {} : { computeCapability: capability }) });

describe('the image of a workload [CR-06]', () => {
  it.each([
    ['pytorch', at('RTX 4090', 12.8), 'pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime'],
    ['pytorch', at('RTX 4090', 12.4), 'pytorch/pytorch:2.5.1-cuda12.1-cudnn9-runtime'],
    ['pytorch', at('RTX 3090', 11.8), 'pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime'],
    ['pytorch', at('Tesla V100', 12.8), 'pytorch/pytorch:2.5.1-cuda12.1-cudnn9-runtime'],
    ['pytorch', at('RTX 5090', 12.9), 'pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime'],
    ['transformers', at('RTX 5090', 12.8), 'pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime'],
    ['transformers', at('RTX 4090', 12.8), 'huggingface/transformers-pytorch-gpu:4.41.2'],
    ['vllm', at('H100 SXM', 12.4), 'vllm/vllm-openai:v0.8.5'],
    ['jax', at('A100 SXM4', 12.2), 'nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04'],
  ])('%s', (workload, offer, image) => {
    const chosen = imageFor(workload, [offer]);
    expect(chosen?.image).toBe(image);
    expect(chosen === undefined ? 'none' : troubleWith(chosen, offer)).toBeUndefined();
  });

  it('is one that runs on every candidate, where there is one', () => {
    const offers = [at('RTX 4090', 12.8), at('RTX 3090', 12.2)];
    expect(imageFor('pytorch', offers)?.cuda).toBe(12.1);
    expect(
      imageFor('pytorch', [at('RTX 4090', 12.8), at('RTX 4090', 12.8), at('RTX 3090', 12.2)])?.cuda,
    ).toBe(12.1);
  });

  it('is PyTorch when nothing is said, and nothing for a word nobody knows', () => {
    expect(imageFor(undefined, [at('RTX 4090', 12.8)])?.image).toMatch(/^pytorch\/pytorch:/);
    expect(imageFor('pascal', [])).toBeUndefined();
  });

  it('every image is pinned to a version', () => {
    for (const workload of ['pytorch', 'cuda', 'transformers', 'tensorflow', 'vllm', 'jax'])
      expect(imageFor(workload, [])?.image).toMatch(/^[a-z/-]+:v?\d[\w.-]+$/);
  });
});

describe('CUDA of an image by its tag [OF-18]', () => {
  it.each([
    ['nvidia/cuda:12.4.1-devel-ubuntu22.04', 12.4],
    ['me/own:2.1.0-cuda12.1-cudnn8-devel', 12.1],
    ['me/own:cu118', 11.8],
    ['ghcr.io/me/x:torch2.4-cu124-py311', 12.4],
    ['ubuntu:22.04', undefined],
    ['me/focus:100', undefined],
    ['pytorch/pytorch:latest', undefined],
  ])('%s: %s', (image, cuda) => {
    expect(imageByName(image)?.cuda).toBe(cuda);
  });
});

describe('what will not run [OF-18] [OF-19]', () => {
  it.each([
    ['a driver too old', { cuda: 12.8 }, at('RTX 4090', 12.4), /driver takes CUDA up to 12\.4/],
    ['a GPU too new', { cuda: 12.1 }, at('RTX 5090', 12.9), /too new.*needs CUDA 12\.8/],
    ['a GPU of unknown name, by its capability', { cuda: 11.8 }, at('X', 13, 10), /too new/],
    [
      'a GPU newer than the programs',
      { cuda: 12.5, capability: [6, 9] as const },
      at('B200', 13),
      /too new/,
    ],
    [
      'a GPU too old',
      { cuda: 12.8, capability: [7.5, 12] as const },
      at('Tesla V100', 12.9),
      /too old/,
    ],
  ])('%s', (_what, image, offer, why) => {
    expect(troubleWith(image, offer)).toMatch(why);
  });

  it('says nothing where nothing is known', () => {
    expect(troubleWith({ cuda: 12.8 }, anOffer({ gpu: 'Mystery 1' }))).toBeUndefined();
    expect(troubleWith({ cuda: 12.8 }, at('RTX 5090', 12.8))).toBeUndefined();
    expect(troubleWith({ cuda: 12.8 }, at('RTX 5090', 12.8, 12))).toBeUndefined();
  });
});
