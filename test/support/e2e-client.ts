import { BuiltServer, type sandbox } from './built-server.ts';
import type { Caller } from './day.ts';
import { runpodClient } from './runpod-client.ts';

/** Bare lines of JSON-RPC, and the SDK, which checks every result against the announced schema. */
export const CLIENTS = ['raw JSON-RPC', 'the SDK client'] as const;

/** A real MCP client of that kind, and the built server with these variables behind it. */
export async function clientOf(
  kind: (typeof CLIENTS)[number],
  box: Awaited<ReturnType<typeof sandbox>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Caller & AsyncDisposable> {
  return kind === 'raw JSON-RPC'
    ? BuiltServer.start({ home: box.home, workspace: box.workspace, env: { ...env } })
    : runpodClient(box, env);
}
