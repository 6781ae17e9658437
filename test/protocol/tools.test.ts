import { describe, expect, it } from 'vitest';
import { TOOLS } from '../../src/tools/index.ts';
import { JOB, OFFER, POD, SESSION } from '../support/fake-services.ts';
import { inProcess, PEERS } from '../support/mcp-clients.ts';

const CALLS: Record<string, Record<string, unknown>> = {
  find_offer: {},
  create_pod: { offerId: OFFER },
  get_pod: { podId: POD },
  list_pods: {},
  update_pod: { podId: POD, action: 'stop' },
  destroy: { podId: POD },
  ssh_profile: { action: 'list' },
  doctor: {},
  session_open: { podId: POD },
  session_write: { sessionId: SESSION, input: 'ls' },
  session_read: { sessionId: SESSION },
  session_close: { sessionId: SESSION },
  sync_files: { podId: POD, localPath: '.' },
  fetch_artifacts: { jobId: JOB, localPath: 'out' },
  job_start: { podId: POD, command: 'true' },
  job_wait: { jobId: JOB },
  job_logs: { jobId: JOB },
  job_cancel: { jobId: JOB },
  diagnose: { podId: POD },
  report: { podId: POD },
};

describe.each(PEERS)('a %s client', (peer) => {
  it('calls every tool and accepts what comes back', async () => {
    await using client = await inProcess(peer);
    // The SDK checks results only against schemas that it has seen.
    const listed = await client.tools();
    expect(listed.map(({ name }) => name)).toEqual(TOOLS.map(({ name }) => name));
    for (const { name, output } of TOOLS) {
      const answer = await client.call(name, CALLS[name]);
      expect(answer, name).toMatchObject({ isError: false });
      expect(output.safeParse(answer.data).success, name).toBe(true);
      expect(answer.data.summary, name).toMatch(/\S/);
      expect(answer.text, name).toContain(answer.data.summary);
    }
  });
});
