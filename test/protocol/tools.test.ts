import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../src/core/errors.ts';
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

  it('is told by every result about a pod, errors too, that its budget is nearly spent [CO-03]', async () => {
    const asked: (readonly string[])[] = [];
    const warnings = async (ids: readonly string[]) => {
      asked.push(ids);
      return Promise.resolve(ids.length === 0 ? [] : ['Budget: $0.80 of $1.00 are spent.']);
    };
    await using client = await inProcess(peer, { overrides: { pods: { warnings } } });
    await client.tools();
    const silent = new Set(['find_offer', 'ssh_profile', 'doctor']);
    for (const { name } of TOOLS) {
      const { data, text } = await client.call(name, CALLS[name]);
      const said = silent.has(name) ? [false, false] : [true, true];
      expect(
        [data.summary.includes('Budget: $0.80'), text.includes('Budget: $0.80')],
        name,
      ).toEqual(said);
    }
    expect(asked).toHaveLength(TOOLS.length);
    await using failing = await inProcess(peer, {
      overrides: {
        pods: { warnings },
        sessions: { write: async () => Promise.reject(new RemoteError('ssh_unreachable', 'no')) },
      },
    });
    const answer = await failing.call('session_write', CALLS['session_write']);
    expect(answer.isError).toBe(true);
    expect(answer.data.hint).toContain('Budget: $0.80 of $1.00 are spent.');
    expect(answer.text).toContain('Budget: $0.80');
  });
});
