import type { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import type { CallOptions } from '../../core/call.ts';

/** The server under demonstration: a process of its own behind a real MCP client. */
export interface DemoServer {
  readonly pid: number;
  /** Protocol revision that client and server agreed on. */
  readonly protocol: string;
  readonly tools: readonly ListedTool[];
  /** One `tools/call`. Rejects when the protocol fails or the process ends before it answers. */
  call(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<ToolAnswer>;
  /** kill -9. Resolves when the process has ended. */
  kill(): Promise<void>;
  /** Polite end: closes stdin and waits. */
  close(): Promise<void>;
}

export interface ListedTool {
  readonly name: string;
  readonly title?: string | undefined;
}

export interface ToolAnswer {
  readonly isError: boolean;
  /** `structuredContent`, unread. */
  readonly data: unknown;
}

export interface ServerSpec {
  readonly nodePath: string;
  readonly mainPath: string;
  readonly home: string;
  readonly workspace: string;
  readonly version: string;
  /** Receives what the server says on stderr, line by line or in pieces. */
  readonly onLog: (text: string) => void;
}

export type OpenServer = (spec: ServerSpec, options: CallOptions) => Promise<DemoServer>;

export const CALL_TIMEOUT_MS = 60_000;

/**
 * A transport that starts the built server with the few variables that are safe to inherit (so no cloud key reaches
 * it), its own state folder and its own workspace.
 */
export async function transportTo(spec: ServerSpec): Promise<StdioClientTransport> {
  const { StdioClientTransport, getDefaultEnvironment } = await import(
    '@modelcontextprotocol/client/stdio'
  );
  const path = await import('node:path');
  const inherited = getDefaultEnvironment();
  const transport = new StdioClientTransport({
    command: spec.nodePath,
    args: [spec.mainPath],
    env: {
      ...inherited,
      // The job runs `node`: the one that runs us, wherever it is installed.
      PATH: [path.dirname(spec.nodePath), inherited['PATH'] ?? ''].join(path.delimiter),
      GPU_LEASE_HOME: spec.home,
      GPU_LEASE_WORKSPACE: spec.workspace,
    },
    cwd: spec.workspace,
    stderr: 'pipe',
  });
  transport.stderr?.on('data', (chunk: Buffer) => {
    spec.onLog(chunk.toString());
  });
  return transport;
}

/** SIGKILL to the process of `pid`; waits for `ended`. A process that is gone already is fine. */
export async function killNow(pid: number, ended: Promise<void>): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
  }
  await ended;
}
