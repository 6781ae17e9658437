import { once } from 'node:events';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import { StdioServerTransport, serveStdio as serve } from '@modelcontextprotocol/server/stdio';
import { limitLines, MAX_LINE_BYTES } from './line-limit.ts';

export interface StdioDeps {
  readonly createServer: McpServerFactory;
  /** Gets what went wrong beside any call, for the log. */
  readonly onError: (error: Error) => void;
}

/**
 * Serves MCP over stdin and stdout, which carry nothing but JSON-RPC. Resolves when the host closes stdin, or on
 * SIGTERM, SIGINT or SIGHUP, so that the caller disposes what it opened. Calls that still run are aborted.
 */
export async function serveStdio({ createServer, onError }: StdioDeps): Promise<void> {
  // Every answer that a slow host has not read yet waits for the pipe.
  process.stdout.setMaxListeners(0);
  const ended = new AbortController();
  const { signal } = ended;
  const ends = [
    once(process.stdin, 'end', { signal }),
    once(process.stdin, 'close', { signal }),
    once(process.stdout, 'close', { signal }),
    ...['SIGTERM', 'SIGINT', 'SIGHUP'].map(async (name) => once(process, name, { signal })),
  ];
  const handle = serve(createServer, {
    onerror: onError,
    transport: new StdioServerTransport(
      process.stdin.pipe(limitLines((line) => process.stdout.write(line))),
      process.stdout,
      { maxBufferSize: 2 * MAX_LINE_BYTES },
    ),
  });
  try {
    await Promise.race(ends);
  } catch (failure) {
    // A broken pipe ends the connection as its close does.
    onError(failure instanceof Error ? failure : new Error('stdio broke'));
  } finally {
    ended.abort();
    await Promise.allSettled(ends);
    await handle.close();
  }
}
