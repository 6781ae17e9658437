import { describe, expect, it } from 'vitest';
import { JOB, OFFER, POD, SESSION } from '../support/fake-services.ts';
import { inProcess, PEERS } from '../support/mcp-clients.ts';

const BAD: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['get_pod', {}, /"podId" is missing: expected string/],
  ['get_pod', { podId: 7 }, /"podId": expected string, got 7/],
  [
    'get_pod',
    { podId: 'nonsense' },
    /expected a pod id from list_pods, like "runpod:abc", got "nonsense"/,
  ],
  ['get_pod', { podId: '' }, /"podId".*got an empty string/],
  ['get_pod', { podId: POD, waitSeconds: 46 }, /"waitSeconds": expected at most 45, got 46/],
  ['get_pod', { podId: POD, waitSeconds: 1.5 }, /"waitSeconds": expected a whole number, got 1.5/],
  [
    'get_pod',
    { podId: POD, waitFor: 'done' },
    /expected one of "ready", "stopped", "gone", got "done"/,
  ],
  [
    'get_pod',
    { podId: POD, wait: 1 },
    /Unknown argument "wait"; there are podId, waitFor, waitSeconds/,
  ],
  ['job_wait', { jobId: 'x'.repeat(200) }, /starts with "job_".*got a string of 200 characters/],
  ['job_start', { podId: POD, command: '' }, /"command": expected a command that is not empty/],
  ['job_start', { podId: POD, command: 'a\0b' }, /"command": expected text without NUL/],
  [
    'job_start',
    { podId: POD, command: 'x'.repeat(10_000_000) },
    /at most 100000 characters.*a string of 10000000/,
  ],
  [
    'job_start',
    { podId: POD, command: 'ls', env: { 'A-B': '1' } },
    /"env.A-B": expected names of letters/,
  ],
  ['job_start', { podId: POD, command: 'ls', nodes: 2 }, /nodes must be 1/],
  [
    'job_start',
    { podId: POD, profileId: 'lab', command: 'ls' },
    /exactly one of podId, profileId: got podId and profileId/,
  ],
  ['job_start', { command: 'ls' }, /exactly one of podId, profileId: got none/],
  ['session_write', { sessionId: SESSION }, /exactly one of input, key: got none/],
  ['session_write', { sessionId: SESSION, input: 'a', key: 'tab' }, /got input and key/],
  ['session_write', { sessionId: SESSION, key: 'ctrl-q' }, /expected one of "enter"/],
  ['create_pod', {}, /exactly one of offerId, offerIds .*got none/],
  ['create_pod', { offerId: OFFER, offerIds: [OFFER] }, /got both/],
  [
    'create_pod',
    { offerId: OFFER, image: 'a', workload: 'cuda' },
    /at most one of image, template, workload/,
  ],
  ['create_pod', { offerId: OFFER, ttlMinutes: 0 }, /"ttlMinutes": expected more than 0, got 0/],
  ['destroy', { podId: POD, discardUnfetched: true }, /discardUnfetched needs reason/],
  ['update_pod', { podId: POD }, /Nothing to change/],
  ['fetch_artifacts', { podId: POD, localPath: 'x' }, /podId needs paths/],
  ['fetch_artifacts', { podId: POD, jobId: JOB, localPath: 'x' }, /exactly one of podId, jobId/],
  ['job_logs', { jobId: JOB, offset: 0, tailLines: 5 }, /at most one of offset, tailLines/],
  ['diagnose', { podId: POD, text: 'x' }, /exactly one of podId, jobId, text/],
  ['report', {}, /exactly one of podId, jobId: got none/],
  ['ssh_profile', { action: 'save' }, /"save" needs profileId/],
  ['doctor', { fix: 'register_ssh_key' }, /needs provider/],
  ['find_offer', { gpu: 'H100' }, /"gpu": expected array, got "H100"/],
];

describe.each(PEERS)('a %s client', (peer) => {
  it('is told what was wrong, what was expected and what was got', async () => {
    await using client = await inProcess(peer);
    await client.tools();
    for (const [tool, args, words] of BAD) {
      const answer = await client.call(tool, args);
      const about = `${tool} ${JSON.stringify(args).slice(0, 80)}`;
      expect(answer.isError, about).toBe(true);
      expect(['invalid_input', 'unsupported', 'too_large'], about).toContain(answer.data.code);
      expect(answer.data.message, about).toMatch(words);
      expect(answer.data.hint, about).toMatch(/\S/);
      expect(answer.data['retryable'], about).toBe(false);
      expect(JSON.stringify(answer.data).length, about).toBeLessThan(8_000);
      expect(answer.text, about).toContain(answer.data.message);
    }
  });

  it('may send null for what it leaves out', async () => {
    await using client = await inProcess(peer);
    const answer = await client.call('get_pod', { podId: POD, waitFor: null });
    expect(answer.isError).toBe(false);
  });

  it('gets a protocol error for a tool that is not there', async () => {
    await using client = await inProcess(peer);
    await expect(client.call('rent_everything')).rejects.toMatchObject({ code: -32602 });
  });
});
