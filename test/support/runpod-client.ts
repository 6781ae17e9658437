import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { MAIN, type sandbox } from './built-server.ts';
import type { Caller } from './day.ts';
import { connectPeer } from './mcp-clients.ts';

/** A real MCP client over stdio, and the built server with these variables of a made-up RunPod. */
export async function runpodClient(
  box: Awaited<ReturnType<typeof sandbox>>,
  variables: Readonly<Record<string, string>>,
): Promise<Caller & AsyncDisposable> {
  const connected = await connectPeer(
    'v2-2026',
    new StdioClientTransport({
      command: process.execPath,
      args: [MAIN],
      cwd: box.workspace,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: box.home,
        GPU_LEASE_HOME: box.home,
        GPU_LEASE_WORKSPACE: box.workspace,
        GPU_LEASE_WATCHER: 'off',
        ...variables,
      },
    }),
  );
  await connected.tools();
  return {
    tool: async (name, args) => connected.call(name, args),
    async call(name, args) {
      const answer = await connected.call(name, args);
      if (answer.isError) throw new Error(`${name}: ${answer.text} ${JSON.stringify(answer.data)}`);
      return answer.data;
    },
    [Symbol.asyncDispose]: async () => connected[Symbol.asyncDispose](),
  };
}
