import type { Files } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Machines } from '../core/machine.ts';
import { CLOSE, DISCONNECT, ENDPOINT, FETCH, JOB, JOBS, REFRESH, SYNC } from './methods.ts';
import { createPeer, handlerOf } from './peer.ts';
import type { Port } from './port.ts';

/** What the worker asks the server for. */
export interface Server {
  readonly machines: Machines;
  readonly jobs: Pick<Jobs, 'get' | 'list' | 'refresh'>;
}
/** What the worker does. */
export interface Work extends AsyncDisposable {
  readonly files: Pick<Files, 'sync' | 'fetch'>;
  disconnect(podId: PodId): Promise<void>;
}

/** The worker's side of the line. `open` is called once, at the start. */
export function serveTransfers(port: Port, open: (server: Server) => Work): void {
  const peer = createPeer(port, [
    handlerOf(SYNC, async (request, options) => work.files.sync(request, options)),
    handlerOf(FETCH, async (request, options) => work.files.fetch(request, options)),
    handlerOf(DISCONNECT, async ({ podId }) => {
      await work.disconnect(podId);
      return undefined;
    }),
    handlerOf(CLOSE, async () => {
      await work[Symbol.asyncDispose]();
      return undefined;
    }),
  ]);
  const { signal } = new AbortController();
  const work = open({
    machines: {
      endpoint: async (podId, { moved = false, ...options }) =>
        peer.call(ENDPOINT, { podId, moved }, options),
    },
    jobs: {
      get: async (jobId) => peer.call(JOB, { jobId }, { signal }),
      list: async (podId) => {
        if (podId === undefined) throw new Error('Only the jobs of one pod are asked for here.');
        return peer.call(JOBS, { podId }, { signal });
      },
      refresh: async (podId, options) => peer.call(REFRESH, { podId }, options),
    },
  });
}
