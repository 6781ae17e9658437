import { z } from 'zod';
import { DATA_CENTERS } from '../data-centers.ts';
import { GPU_TYPES } from '../gpu-types.ts';

/** Newer than this API, whose lists are closed. */
const NOT_IN_V1 = ['NVIDIA B300 SXM6 AC', 'NVIDIA RTX PRO 4500 Blackwell'];
const ODD_GPUS = [
  'NVIDIA  RTX A4500',
  'NVIDIA  A30',
  'NVIDIA A5000 Ada',
  'NVIDIA RTX A30',
  'Tesla T4',
];
const GPU_IDS = [...GPU_TYPES.map(({ id }) => id), ...ODD_GPUS].filter(
  (id) => !NOT_IN_V1.includes(id),
);
const CENTER_IDS = DATA_CENTERS.filter(({ inV1 }) => inV1).map(({ id }) => id);
const CUDAS = [
  '11.8',
  '12.0',
  '12.1',
  '12.2',
  '12.3',
  '12.4',
  '12.5',
  '12.6',
  '12.7',
  '12.8',
  '12.9',
  '13.0',
];

const text = z.string();
const env = z.record(z.string(), text);
const priority = z.enum(['availability', 'custom']);
const container = {
  containerDiskInGb: z.int().min(1).nullish(),
  containerRegistryAuthId: text.nullish(),
  dockerEntrypoint: z.array(text).nullish(),
  dockerStartCmd: z.array(text).nullish(),
  env: env.nullish(),
  globalNetworking: z.boolean().nullish(),
  imageName: text.nullish(),
  locked: z.boolean().nullish(),
  name: text.max(191).nullish(),
  ports: z.array(text).nullish(),
  volumeInGb: z.int().min(0).nullish(),
  volumeMountPath: text.nullish(),
};

export const createPodSchema = z.strictObject({
  ...container,
  templateId: text.nullish(),
  computeType: z.enum(['GPU', 'CPU']).nullish(),
  cloudType: z.enum(['SECURE', 'COMMUNITY']).nullish(),
  gpuTypeIds: z.array(z.enum(GPU_IDS)).nullish(),
  gpuTypePriority: priority.nullish(),
  gpuCount: z.int().min(1).nullish(),
  cpuFlavorIds: z.array(z.enum(['cpu3c', 'cpu3g', 'cpu3m', 'cpu5c', 'cpu5g', 'cpu5m'])).nullish(),
  cpuFlavorPriority: priority.nullish(),
  vcpuCount: z.int().min(2).nullish(),
  dataCenterIds: z.array(z.enum(CENTER_IDS)).nullish(),
  dataCenterPriority: priority.nullish(),
  minRAMPerGPU: z.int().nullish(),
  minVCPUPerGPU: z.int().nullish(),
  minDiskBandwidthMBps: z.number().nullish(),
  minDownloadMbps: z.number().nullish(),
  minUploadMbps: z.number().nullish(),
  countryCodes: z.array(text).nullish(),
  networkVolumeId: text.nullish(),
  allowedCudaVersions: z.array(z.enum(CUDAS)).nullish(),
  interruptible: z.boolean().nullish(),
  supportPublicIp: z.boolean().nullish(),
});
export type CreatePod = z.output<typeof createPodSchema>;
export const updatePodSchema = z.strictObject(container);

export const templateSchema = z.strictObject({
  category: z.enum(['NVIDIA', 'AMD', 'CPU']).nullish(),
  containerDiskInGb: z.int().min(1).nullish(),
  containerRegistryAuthId: text.nullish(),
  dockerEntrypoint: z.array(text).nullish(),
  dockerStartCmd: z.array(text).nullish(),
  env: env.nullish(),
  imageName: text.nullish(),
  isPublic: z.boolean().nullish(),
  isServerless: z.boolean().nullish(),
  name: text.nullish(),
  ports: z.array(text).nullish(),
  readme: text.nullish(),
  volumeInGb: z.int().min(0).nullish(),
  volumeMountPath: text.nullish(),
});
export const volumeSchema = z.strictObject({
  name: text.nullish(),
  size: z.int().min(0).max(4_000).nullish(),
  dataCenterId: text.nullish(),
});
export const registrySchema = z.strictObject({ name: text, username: text, password: text });
