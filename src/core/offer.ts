import { z } from 'zod';
import { offerIdSchema, providerNameSchema } from './ids.ts';

/** A machine shape that can be rented now, at a price. */
export const offerSchema = z.object({
  offerId: offerIdSchema,
  provider: providerNameSchema,
  gpu: z.string().exactOptional().describe('Absent: no GPU.'),
  gpuCount: z.int().nonnegative(),
  vramGb: z.number().positive().exactOptional().describe('Per GPU, nominal.'),
  vcpu: z.number().positive(),
  ramGb: z.number().positive(),
  diskGb: z.number().positive().describe('Largest disk.'),
  region: z.string(),
  pricing: z.enum(['on_demand', 'interruptible']),
  usdPerHour: z.number().nonnegative().describe('Total, with the disk asked for.'),
  gpuUsdPerHour: z.number().nonnegative().exactOptional().describe('Part of usdPerHour.'),
  diskUsdPerHour: z.number().nonnegative().exactOptional().describe('Part of usdPerHour.'),
  usdPerHourStopped: z.number().nonnegative().exactOptional(),
  egressUsdPerGb: z
    .number()
    .nonnegative()
    .exactOptional()
    .describe('Sending out, not in usdPerHour.'),
  ingressUsdPerGb: z.number().nonnegative().exactOptional(),
  minBidUsdPerHour: z
    .number()
    .nonnegative()
    .exactOptional()
    .describe('Lowest bid, for interruptible.'),
  reliability: z.number().min(0).max(1).exactOptional(),
  cuda: z.number().positive().exactOptional(),
  computeCapability: z.number().positive().exactOptional(),
  downloadMbps: z.number().nonnegative().exactOptional(),
  uploadMbps: z.number().nonnegative().exactOptional(),
  machineId: z.string().exactOptional().describe('The physical machine.'),
  hoursLeft: z
    .number()
    .nonnegative()
    .exactOptional()
    .describe('Until its owner ends every rental.'),
  directSsh: z.boolean().exactOptional(),
  rehearsal: z.boolean().exactOptional(),
  why: z.string().exactOptional(),
  warnings: z.array(z.string()).exactOptional(),
});
export type Offer = Readonly<z.output<typeof offerSchema>>;

/** Every filter in force. The defaults are those of product.md (OF-02, MO-07). */
export interface OfferQuery {
  readonly gpu: readonly string[];
  /** 0: any number. */
  readonly gpuCount: number;
  readonly minVramGb: number;
  readonly diskGb: number;
  readonly maxUsdPerHour?: number | undefined;
  readonly minReliability: number;
  readonly minCuda?: number | undefined;
  readonly minDownloadMbps?: number | undefined;
  readonly minVcpu?: number | undefined;
  readonly minRamGb?: number | undefined;
  readonly regions: readonly string[];
  readonly interruptible: boolean;
  readonly expectedHours?: number | undefined;
  readonly vastQuery?: string | undefined;
}
