import { type Clock, OVER } from '../core/call.ts';
import type { Pods } from '../core/pods.ts';
import type { Tool } from './tool.ts';
import { idsIn } from './warned.ts';

/** While a call lasts, it is said so often that it does. */
const AGAIN_SECONDS = 30;

/** Says of a call that does something on a pod, at its start, while it lasts and at its end, that the pod is used. */
export function startUse(
  { effect }: Pick<Tool, 'effect'>,
  input: object,
  { used }: Pick<Pods, 'used'>,
  clock: Clock,
): { readonly end: () => void } {
  const ids = effect === 'read' || effect === 'destroy' ? [] : idsIn(input);
  if (used === undefined || ids.length === 0) return { end: () => undefined };
  const over = new AbortController();
  const sayOn = async (): Promise<void> => {
    for (;;) {
      await used(ids);
      await clock.sleep(AGAIN_SECONDS, { signal: over.signal });
    }
  };
  sayOn().catch(() => undefined);
  return {
    end() {
      over.abort(OVER);
      used(ids).catch(() => undefined);
    },
  };
}
