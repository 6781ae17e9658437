import { z } from 'zod';
import type { CallOptions } from '../../core/call.ts';
import { InputError, ProviderError } from '../../core/errors.ts';
import type { PodId } from '../../core/ids.ts';
import type { PodLogs } from '../../core/provider.ts';
import { parseJson } from '../answer.ts';
import { nameOf } from './ids.ts';
import type { Transport } from './transport.ts';

const MAX_LINES = 5000;
const MAX_BYTES = 512 * 1024;
/** The stream never ends, and nothing marks the end of what was said before. */
const QUIET_SECONDS = 0.75;
const LIMIT_SECONDS = 5;

const eventSchema = z.object({
  source: z.string().nullish().catch(undefined),
  line: z.string(),
});

/** What the host and the container said: only here a failed pull of the image is told. */
export function createLogs({ stream, first }: Pick<Transport, 'stream' | 'first'>): PodLogs {
  return {
    tellsPulls: true,
    async bootLog(podId: PodId, tailLines: number, options: CallOptions) {
      options.signal.throwIfAborted();
      const name = nameOf(podId);
      if (name === undefined)
        throw new InputError('not_found', `The RunPod account has no pod ${podId}.`);
      const lines = Math.min(MAX_LINES, Math.max(1, Math.floor(tailLines)));
      const what = 'The boot log';
      const order = {
        what,
        path: `/pods/${name}/logs`,
        query: { tail: String(lines) },
        quietSeconds: QUIET_SECONDS,
        timeoutSeconds: LIMIT_SECONDS,
        maxBytes: MAX_BYTES,
      };
      const text = await first(what, [['v2', async () => stream(order, options)]]);
      const said = linesOf(text).slice(-lines);
      if (said.length > 0) return `${said.join('\n')}\n`;
      throw new ProviderError('provider_unavailable', 'The pod has not said anything yet.', {
        hint: 'Right after the start there is none for a while. Call again.',
        retryAfterSeconds: 15,
      });
    },
  };
}

/** The lines of server-sent events, without comments, empty frames and a last one that is cut off. */
export function linesOf(text: string): readonly string[] {
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .flatMap((line) => {
      if (!line.startsWith('data:')) return [];
      const event = eventSchema.safeParse(parseJson(line.slice(5).trim()));
      if (!event.success) return [];
      const { source, line: said } = event.data;
      return [source === 'system' ? `[system] ${said}` : said];
    });
}
