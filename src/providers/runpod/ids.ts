import { localPartOf, type OfferId, type PodId, podIdSchema, providerOf } from '../../core/ids.ts';

/** What RunPod calls the pod; `undefined` for an id that RunPod never gives. */
export function nameOf(id: PodId | OfferId): string | undefined {
  const local = localPartOf(id);
  return providerOf(id) === 'runpod' && /^[A-Za-z0-9]{4,40}$/.test(local) ? local : undefined;
}
export function podIdOf(pod: string): PodId {
  return podIdSchema.parse(`runpod:${pod}`);
}

/** "runpod:V.agv6w2qcg7", "V.agv6w2qcg7" or "agv6w2qcg7": how people, tools and RunPod write volumes. */
export function volumeNameOf(text: string): string | undefined {
  const name = text.replace(/^runpod:/, '').replace(/^V\./, '');
  return /^[A-Za-z0-9]{4,40}$/.test(name) ? name : undefined;
}
export function volumeIdOf(volume: string): PodId {
  return podIdSchema.parse(`runpod:V.${volume}`);
}
