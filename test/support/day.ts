import { expect } from 'vitest';
import { numberAt, type ToolAnswer, textAt } from './built-server.ts';

/** What a day needs of a client, whatever its era and transport. */
export interface Caller {
  call(name: string, args?: Record<string, unknown>): Promise<ToolAnswer['data']>;
  tool(name: string, args?: Record<string, unknown>): Promise<ToolAnswer>;
}

/** Rents a local pod and waits until it is ready. */
export async function readyPod(
  client: Caller,
  extra: Record<string, unknown> = {},
): Promise<string> {
  const found = await client.call('find_offer', { providers: ['local'] });
  const created = await client.call('create_pod', {
    offerId: textAt(found, 'offers.0.offerId'),
    waitSeconds: 0,
    ...extra,
  });
  expect(['provisioning', 'ready']).toContain(created['status']);
  const podId = textAt(created, 'pod.podId');
  const got = await client.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
  expect(got).toMatchObject({ reached: true, pod: { status: 'ready' } });
  return podId;
}

/** The whole transcript of a session from its first byte, page by page. */
export async function transcript(
  client: Caller,
  sessionId: string,
  format = 'clean',
): Promise<string> {
  let text = '';
  let offset = 0;
  for (;;) {
    const page = await client.call('session_read', { sessionId, offset, format });
    expect(page['offset']).toBe(offset);
    text += textAt(page, 'output');
    if (page['nextOffset'] === offset) return text;
    offset = numberAt(page, 'nextOffset');
  }
}

/** Waits for a job's end, 25 s a call. */
export async function finished(client: Caller, jobId: string): Promise<ToolAnswer['data']> {
  for (;;) {
    const seen = await client.call('job_wait', { jobId, waitSeconds: 25 });
    if (
      !['running', 'bootstrapping', 'syncing', 'provisioning', 'running_unreachable'].includes(
        textAt(seen, 'status'),
      )
    )
      return seen;
  }
}

/** Destroys and insists on having seen it gone. */
export async function gone(
  client: Caller,
  podId: string,
  extra: Record<string, unknown> = {},
): Promise<ToolAnswer['data']> {
  const ended = await client.call('destroy', { podId, ...extra });
  expect(ended).toMatchObject({ outcome: 'gone' });
  return ended;
}

/** Opens a shell and answers with its id. */
export async function opened(
  client: Caller,
  podId: string,
  extra: Record<string, unknown> = {},
): Promise<string> {
  return textAt(await client.call('session_open', { podId, ...extra }), 'sessionId');
}

/** Starts a job and answers with its id. */
export async function started(client: Caller, args: Record<string, unknown>): Promise<string> {
  return textAt(await client.call('job_start', args), 'jobId');
}
