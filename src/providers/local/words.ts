import { createHash } from 'node:crypto';
import { isAppError, ProviderError } from '../../core/errors.ts';
import { localPartOf, type PodId, podIdSchema, providerOf } from '../../core/ids.ts';
import type { ProviderPod } from '../../core/provider.ts';

/** The name of a pod's folder and the value its processes carry. */
export function tokenOf(label: string): string {
  return createHash('sha256').update(label).digest('hex').slice(0, 20);
}

/** `undefined` for an id that no local pod can have. */
export function tokenOfPod(podId: PodId): string | undefined {
  const token = localPartOf(podId);
  return providerOf(podId) === 'local' && /^[a-z0-9]{8,64}$/.test(token) ? token : undefined;
}

/** What stands in a list for a pod whose files cannot be read: it is there, and that is all we know. */
export function unreadable(token: string): ProviderPod {
  return {
    podId: podIdSchema.parse(`local:${token}`),
    label: token,
    status: 'unknown',
    usdPerHour: 0,
    detail: 'Its files cannot be read.',
  };
}

/** Gives failures of the file system a code: not being able to look is never "gone". */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isAppError(cause)) throw cause;
    throw new ProviderError('provider_unavailable', 'The files of local pods cannot be used.', {
      cause,
      hint: 'Look at GPU_LEASE_HOME: it must be readable and writable, with free space.',
    });
  }
}
