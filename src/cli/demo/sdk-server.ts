import { CALL_TIMEOUT_MS, killNow, type OpenServer, transportTo } from './server.ts';

const PROTOCOL = '2026-07-28';

/** The client of the official SDK, on the newest protocol revision. */
export const openWithSdk: OpenServer = async (spec, { signal }) => {
  const { Client } = await import('@modelcontextprotocol/client');
  const transport = await transportTo(spec);
  const client = new Client(
    { name: 'gpu-lease-demo', version: spec.version },
    { versionNegotiation: { mode: { pin: PROTOCOL } } },
  );
  const ended = new Promise<void>((resolve) => {
    client.onclose = resolve;
  });
  await client.connect(transport, { signal });
  // Knowing the schemas, the client checks every structured result against them.
  const { tools } = await client.listTools({}, { signal });
  const pid = transport.pid ?? 0;
  return {
    pid,
    protocol: PROTOCOL,
    tools,
    call: async (tool, input, options) => {
      const result = await client.callTool(
        { name: tool, arguments: { ...input } },
        {
          signal: options.signal,
          timeout: CALL_TIMEOUT_MS,
          onprogress: ({ message }) => {
            if (message !== undefined) options.progress?.(message);
          },
        },
      );
      return { isError: result.isError === true, data: result.structuredContent };
    },
    kill: async () => killNow(pid, ended),
    close: async () => client.close(),
  };
};
