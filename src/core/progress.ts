import { z } from 'zod';

/** One thing worth telling a person who watches. A later event in the same slot replaces the earlier one (PG-03). */
export const progressEventSchema = z.object({
  kind: z.enum(['started', 'progress', 'milestone', 'warning', 'needs_input', 'completed']),
  message: z.string().min(1),
  stage: z.string().exactOptional(),
  slot: z.string().exactOptional(),
  current: z.number().exactOptional(),
  total: z.number().exactOptional(),
  ephemeral: z.boolean().exactOptional(),
});
export type ProgressEvent = Readonly<z.output<typeof progressEventSchema>>;

/** Takes events and never throws: a broken sink must not fail the work (PG-08). */
export type ProgressSink = (event: ProgressEvent) => void;
