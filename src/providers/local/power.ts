import { type CallOptions, type Clock, hasPassed } from '../../core/call.ts';
import { InputError, ProviderError } from '../../core/errors.ts';
import type { PodId } from '../../core/ids.ts';
import { isAlive } from '../../core/local-process.ts';
import { poll } from '../../core/poll.ts';
import type { PodPower } from '../../core/provider.ts';
import type { PodFiles } from './pod-files.ts';

const END_LIMIT_SECONDS = 60;

export interface PowerDeps {
  readonly files: PodFiles;
  readonly clock: Clock;
  readonly start: (token: string) => Promise<void>;
  /** Ends the pod's processes and answers the exit code of the program that did it. */
  readonly stop: (token: string, options: CallOptions) => Promise<number>;
  /** Throws `not_found`. */
  readonly tokenOf: (podId: PodId) => Promise<string>;
}

/** Stop keeps the folder; start serves it again on a new port, with the same host key and files. */
export function createPower({ files, clock, start, stop, tokenOf }: PowerDeps): PodPower {
  const order = async (token: string, wanted: 'run' | 'stop'): Promise<void> => {
    if ((await files.order(token))?.order === 'destroy')
      throw new ProviderError('provider_unavailable', 'This pod is being removed.');
    await files.writeOrder(token, { order: wanted, at: clock.now().toISOString() });
  };

  async function stopPod(podId: PodId, options: CallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const token = await tokenOf(podId);
    await order(token, 'stop');
    if ((await stop(token, options)) !== 0)
      throw new ProviderError('provider_unavailable', 'Some processes of the pod are still there.');
  }

  async function startPod(podId: PodId, options: CallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const token = await tokenOf(podId);
    const deadline = await files.deadline(token);
    if (deadline !== undefined && hasPassed(deadline.deadlineAt, clock))
      throw new InputError('invalid_input', 'The deadline of this pod has passed.', {
        hint: 'Set ttlMinutes in the same call: a pod without time left would end itself at once.',
      });
    const isFree = await poll(
      async () => {
        const holder = await files.holder(token);
        return holder?.role === 'end' && (await isAlive(holder)) ? undefined : true;
      },
      { ...options, clock, timeoutSeconds: END_LIMIT_SECONDS, everySeconds: 0.2 },
    );
    if (isFree === undefined)
      throw new ProviderError('provider_unavailable', 'The pod is still being stopped.');
    await order(token, 'run');
    await start(token);
  }

  return {
    stopPod,
    startPod,
    async restartPod(podId, options) {
      await stopPod(podId, options);
      await startPod(podId, options);
    },
  };
}
