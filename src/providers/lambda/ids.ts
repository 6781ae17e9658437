import {
  localPartOf,
  type OfferId,
  offerIdSchema,
  type PodId,
  podIdSchema,
  providerOf,
} from '../../core/ids.ts';

/** Ids of Lambda are opaque; these go into a path. */
const PLAIN = /^[A-Za-z0-9-]{1,64}$/;
const OFFER = /^(?<type>[a-z0-9_]{1,60})@(?<region>[a-z0-9-]{1,36})$/;

/** The id of an instance; `undefined` for one that Lambda never gives. */
export function instanceIdOf(podId: PodId): string | undefined {
  return providerOf(podId) === 'lambda' ? plainOf(localPartOf(podId)) : undefined;
}
export function podIdOf(instanceId: string): PodId {
  return podIdSchema.parse(`lambda:${instanceId}`);
}
export const isPlainId = (text: string): boolean => PLAIN.test(text);

/** What an offer is: a type of machine in a region. */
export interface Shape {
  readonly type: string;
  readonly region: string;
}
/** "lambda:gpu_1x_a10@us-west-1"; `undefined`: names that no id can hold. */
export function offerIdOf({ type, region }: Shape): OfferId | undefined {
  const parsed = offerIdSchema.safeParse(`lambda:${type}@${region}`);
  return parsed.success && OFFER.test(localPartOf(parsed.data)) ? parsed.data : undefined;
}
export function shapeOf(offerId: OfferId): Shape | undefined {
  if (providerOf(offerId) !== 'lambda') return undefined;
  const groups = OFFER.exec(localPartOf(offerId))?.groups;
  const [type, region] = [groups?.['type'], groups?.['region']];
  return type === undefined || region === undefined ? undefined : { type, region };
}

/** "lambda:V.39…", "V.39…" or the bare id: how people, tools and Lambda write file systems. */
export function fileSystemIdOf(text: string): string | undefined {
  return plainOf(text.replace(/^lambda:/, '').replace(/^V\./, ''));
}
export function volumeIdOf(fileSystemId: string): PodId {
  return podIdSchema.parse(`lambda:V.${fileSystemId}`);
}

function plainOf(text: string): string | undefined {
  return isPlainId(text) ? text : undefined;
}
