import type { Offer } from '../core/offer.ts';
import { capabilityOf } from './gpu-catalog.ts';

export interface KnownImage {
  readonly cuda: number;
  /** CUDA compute capability, from and to. */
  readonly capability?: readonly [number, number] | undefined;
  /** What the person should know about it, in our own words. */
  readonly note?: string | undefined;
}
/** An image that is pinned and well known, and the GPUs its programs were built for. */
export interface WorkloadImage extends KnownImage {
  readonly image: string;
  readonly capability: readonly [number, number];
}

const PYTORCH: readonly WorkloadImage[] = [
  {
    image: 'pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime',
    cuda: 12.8,
    capability: [7.5, 12],
  },
  { image: 'pytorch/pytorch:2.5.1-cuda12.1-cudnn9-runtime', cuda: 12.1, capability: [5, 9] },
  { image: 'pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime', cuda: 11.8, capability: [5, 9] },
];
const CUDA: readonly WorkloadImage[] = [
  {
    image: 'nvidia/cuda:12.8.1-cudnn-devel-ubuntu22.04',
    cuda: 12.8,
    capability: [5, 12.1],
  },
  { image: 'nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04', cuda: 12.1, capability: [5, 9] },
  { image: 'nvidia/cuda:11.8.0-cudnn8-devel-ubuntu22.04', cuda: 11.8, capability: [3.5, 9] },
];
const withNote = (images: readonly WorkloadImage[], note: string): readonly WorkloadImage[] =>
  images.map((image) => ({ ...image, note }));

/** The best first (CR-06). */
const WORKLOADS: ReadonlyMap<string, readonly WorkloadImage[]> = new Map([
  ['pytorch', PYTORCH],
  ['cuda', CUDA],
  [
    'transformers',
    [
      {
        image: 'huggingface/transformers-pytorch-gpu:4.41.2',
        cuda: 12.1,
        capability: [5, 9],
      },
      ...withNote(
        PYTORCH,
        'transformers is not in this image: begin with "pip install transformers accelerate".',
      ),
    ],
  ],
  [
    'tensorflow',
    [
      { image: 'tensorflow/tensorflow:2.19.0-gpu', cuda: 12.5, capability: [6, 9] },
      { image: 'tensorflow/tensorflow:2.14.0-gpu', cuda: 11.8, capability: [5, 9] },
    ],
  ],
  [
    'vllm',
    [
      { image: 'vllm/vllm-openai:v0.12.0', cuda: 12.9, capability: [7, 12.1] },
      { image: 'vllm/vllm-openai:v0.8.5', cuda: 12.4, capability: [7, 9] },
    ],
  ],
  [
    'jax',
    withNote(
      CUDA,
      'JAX is not in this image: begin with "apt-get update && apt-get install -y python3-pip && pip3 install -U jax[cuda12]".',
    ),
  ],
]);
const DEFAULT_WORKLOAD = 'pytorch';

/** Newest CUDA that the GPUs of a capability need at least, newest first. */
const FIRST_CUDA: readonly (readonly [number, number])[] = [
  [12.1, 12.9],
  [12, 12.8],
  [10.3, 12.9],
  [10, 12.8],
  [8.9, 11.8],
  [8.6, 11.1],
  [8, 11],
  [7.5, 10],
];

/** The first image of the workload that runs on all of these offers; else the one that runs on most. `undefined`: no such workload. */
export function imageFor(
  workload: string = DEFAULT_WORKLOAD,
  offers: readonly Offer[],
): WorkloadImage | undefined {
  const images = WORKLOADS.get(workload) ?? [];
  const fitting = (image: WorkloadImage): number =>
    offers.filter((offer) => troubleWith(image, offer) === undefined).length;
  return [...images].sort((a, b) => fitting(b) - fitting(a))[0];
}

/** What is known of an image by its name: whose it is in our table (of `workload`, where one is meant), or the CUDA in its tag. */
export function imageByName(image: string, workload?: string): KnownImage | undefined {
  const tables = [WORKLOADS.get(workload ?? '') ?? [], ...WORKLOADS.values()];
  const known = tables.flat().find((candidate) => candidate.image === image);
  if (known !== undefined) return known;
  const cuda = cudaOfTag(image);
  return cuda === undefined ? undefined : { cuda };
}

/** Why programs of this image will not run on this GPU, in our own words (OF-18, OF-19). `undefined`: nothing known against it. */
export function troubleWith({ cuda, capability }: KnownImage, offer: Offer): string | undefined {
  if (offer.cuda !== undefined && offer.cuda + 0.001 < cuda)
    return `its driver takes CUDA up to ${versionOf(offer.cuda)} and the image has ${versionOf(cuda)}: it may not start`;
  const own =
    offer.computeCapability ?? (offer.gpu === undefined ? undefined : capabilityOf(offer.gpu));
  if (own === undefined) return undefined;
  const first = FIRST_CUDA.find(([from]) => own >= from)?.[1] ?? 0;
  if (cuda + 0.001 < first)
    return `its GPU is too new for the image: it needs CUDA ${versionOf(first)} and the image has ${versionOf(cuda)}`;
  if (capability !== undefined && own > capability[1] + 0.001)
    return 'its GPU is too new for the image, whose programs were built before it';
  if (capability !== undefined && own < capability[0] - 0.001)
    return 'its GPU is too old for the image, whose programs no longer support it';
  return undefined;
}

/** "…:2.1.0-cuda12.1-cudnn8", "nvidia/cuda:12.4.1-…", "…:cu118". */
function cudaOfTag(image: string): number | undefined {
  const [, major, minor] =
    /cuda[-_:]?(\d{2})\.(\d{1,2})/i.exec(image) ??
    /(?<![a-z])cu(\d{2})(\d)(?!\d)/i.exec(image) ??
    [];
  return major === undefined || minor === undefined ? undefined : Number(`${major}.${minor}`);
}

function versionOf(version: number): string {
  return version.toFixed(1);
}
