import { serveStdio } from '../../src/mcp/stdio.ts';
import { serverFactory } from './mcp-clients.ts';

/* A server over stdio with fakes behind it, for tests that need a process of its own. Says when it ended in order. */
await serveStdio({
  createServer: serverFactory({
    overrides: {
      sessions: {
        read: async (_sessionId, _request, { signal, progress }) =>
          new Promise((_resolve, reject) => {
            progress?.('begun');
            signal.addEventListener('abort', () => {
              process.stderr.write('aborted\n');
              reject(new Error('aborted'));
            });
          }),
      },
    },
  }),
  onError: (error) => process.stderr.write(`error: ${error.message}\n`),
});
process.stderr.write('ended\n');
process.exit(0);
