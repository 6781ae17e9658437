import { z } from 'zod';
import { CALL_TIMEOUT_MS, killNow, type OpenServer, transportTo } from './server.ts';

const PROTOCOL = '2025-06-18';

const replySchema = z.object({
  id: z.number(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ code: z.number(), message: z.string() }).optional(),
});
const progressSchema = z.object({
  method: z.literal('notifications/progress'),
  params: z.object({ progressToken: z.number(), message: z.string().optional() }),
});
const initializedSchema = z.object({ protocolVersion: z.string() });
const toolsSchema = z.object({
  tools: z.array(z.object({ name: z.string(), title: z.string().optional() })),
});
const calledSchema = z.object({
  isError: z.boolean().default(false),
  structuredContent: z.unknown(),
});

interface Waiter {
  readonly resolve: (result: Readonly<Record<string, unknown>>) => void;
  readonly reject: (reason: Error) => void;
  readonly progress: ((message: string) => void) | undefined;
}

/** JSON-RPC by hand, as the clients of 2025 speak it: `initialize`, `initialized`, then calls. */
export const openRaw: OpenServer = async (spec, options) => {
  const transport = await transportTo(spec);
  const waiting = new Map<number, Waiter>();
  let lastId = 0;
  transport.onmessage = (message) => {
    const progress = progressSchema.safeParse(message);
    if (progress.success) {
      const { progressToken, message: said } = progress.data.params;
      if (said !== undefined) waiting.get(progressToken)?.progress?.(said);
      return;
    }
    const reply = replySchema.safeParse(message);
    if (!reply.success) return;
    const waiter = waiting.get(reply.data.id);
    waiting.delete(reply.data.id);
    if (reply.data.result !== undefined) waiter?.resolve(reply.data.result);
    else
      waiter?.reject(new Error(`The server answered with error ${reply.data.error?.code ?? 0}.`));
  };
  const ended = new Promise<void>((resolve) => {
    transport.onclose = () => {
      for (const { reject } of waiting.values()) reject(new Error('The server ended.'));
      waiting.clear();
      resolve();
    };
  });
  await transport.start();
  const pid = transport.pid ?? 0;

  const request = async (
    method: string,
    params: Record<string, unknown>,
    { signal, progress }: typeof options,
  ): Promise<Readonly<Record<string, unknown>>> => {
    lastId += 1;
    const id = lastId;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
    limit.throwIfAborted();
    const answered = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      waiting.set(id, { resolve, reject, progress });
      const stop = (): void => {
        if (!waiting.delete(id)) return;
        const params = { requestId: id, reason: 'given up' };
        transport
          .send({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
          // A server that is gone needs no word.
          .catch(() => undefined);
        reject(new Error('The call was given up.'));
      };
      limit.addEventListener('abort', stop, { once: true });
    });
    const _meta = progress === undefined ? {} : { _meta: { progressToken: id } };
    await transport.send({ jsonrpc: '2.0', id, method, params: { ...params, ..._meta } });
    return answered;
  };

  const { protocolVersion } = initializedSchema.parse(
    await request(
      'initialize',
      {
        protocolVersion: PROTOCOL,
        capabilities: {},
        clientInfo: { name: 'gpu-lease-demo', version: spec.version },
      },
      { signal: options.signal },
    ),
  );
  await transport.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  const { tools } = toolsSchema.parse(await request('tools/list', {}, { signal: options.signal }));
  return {
    pid,
    protocol: protocolVersion,
    tools,
    call: async (tool, input, callOptions) => {
      const { isError, structuredContent } = calledSchema.parse(
        await request('tools/call', { name: tool, arguments: { ...input } }, callOptions),
      );
      return { isError, data: structuredContent };
    },
    kill: async () => killNow(pid, ended),
    close: async () => transport.close(),
  };
};
