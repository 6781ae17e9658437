import { z } from 'zod';
import { count } from '../core/count.ts';
import { type PodId, podIdSchema } from '../core/ids.ts';
import type { Receipt } from '../core/lease.ts';
import type { Volume } from '../core/provider.ts';
import { oneLine, usd } from './words.ts';

/** A disk of its own, as list_pods shows it. */
export const volumeSchema = z.object({
  volumeId: podIdSchema,
  name: z.string(),
  sizeGb: z.number(),
  usdPerMonth: z.number().exactOptional(),
  machineId: z.string().exactOptional(),
  podIds: z.array(podIdSchema),
  problem: z.string().exactOptional(),
});

export function shownVolume(volume: Volume): z.output<typeof volumeSchema> {
  const { volumeId, name, sizeGb, usdPerMonth, machineId, podIds, problem } = volume;
  return {
    volumeId,
    name,
    sizeGb,
    podIds: [...podIds],
    ...(usdPerMonth === undefined ? {} : { usdPerMonth }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** A volume bills whether anybody uses it or not: how many there are, and what they cost together. */
export function volumeWords(volumes: readonly Volume[]): string {
  const idle = volumes.filter(
    ({ podIds, problem }) => podIds.length === 0 && problem === undefined,
  );
  const going = volumes.flatMap(({ volumeId, problem }) =>
    problem === undefined ? [] : [` Volume ${volumeId}: ${problem}`],
  );
  const known = volumes.every(({ usdPerMonth }) => usdPerMonth !== undefined);
  const total = volumes.reduce((sum, { usdPerMonth = 0 }) => sum + usdPerMonth, 0);
  const price = known ? ` for ${usd(total)} a month` : '';
  const unused =
    idle.length === 0
      ? ''
      : `, ${idle.length} attached to no pod: ask the user whether they are still needed`;
  return `${count(volumes.length, 'volume')}${price}${unused}.${going.join('')}`;
}

export const volumeLine = ({
  volumeId,
  name,
  sizeGb,
  usdPerMonth,
  podIds,
  problem,
}: z.output<typeof volumeSchema>): string =>
  `volume ${volumeId} "${oneLine(name, 80)}": ${sizeGb} GB${usdPerMonth === undefined ? '' : `, ${usd(usdPerMonth)} a month`}, ${podIds.length === 0 ? 'attached to no pod' : `attached to ${podIds.join(', ')}`}${problem === undefined ? '' : `. ${problem}`}`;

/** Whether this id names a volume and not a pod. */
export const isVolumeId = (podId: PodId): boolean => podId.includes(':V.');

export type Kept = NonNullable<Receipt['volumes']>[number];
export const keptLine = ({ volumeId, sizeGb, usdPerMonth }: Kept): string =>
  `volume ${volumeId}, ${sizeGb} GB${usdPerMonth === undefined ? '' : `, ${usd(usdPerMonth)} a month`}`;

/** A volume outlives its pod and bills on: nobody may learn that from the next invoice [VO-03]. */
export function keptWords(volumes: readonly Kept[] = []): string {
  const kept = volumes.filter(({ isBeingRemoved }) => isBeingRemoved !== true);
  const going = volumes.filter(({ isBeingRemoved }) => isBeingRemoved === true);
  return [
    kept.length > 0 && ` It leaves ${kept.map(keptLine).join('; ')}, charged until destroyed too.`,
    going.length > 0 &&
      ` The new ${going.map(keptLine).join('; ')} of a pod that never became ready is removed as soon as the cloud frees it: list_pods shows it until then.`,
  ]
    .filter((part) => part !== false)
    .join('');
}
