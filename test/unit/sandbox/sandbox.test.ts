import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SandboxOptions } from '../../../src/core/sandbox.ts';
import type { OpenSandbox } from '../../../src/sandbox/sandbox.ts';
import { podProgram } from '../../support/pod-program.ts';
import { type TinySandbox, tinySandboxes } from '../../support/tiny-sandbox.ts';

let sandboxes: TinySandbox;
beforeEach(async () => {
  sandboxes = await tinySandboxes(await podProgram());
});
afterEach(async () => sandboxes[Symbol.asyncDispose]());

const open = async (options: SandboxOptions = {}): Promise<OpenSandbox> =>
  sandboxes.open({ speed: 0, machines: 'none', ...options });
const urlOf = ({ origins }: OpenSandbox, path: string): string => `${origins[0]?.url ?? ''}${path}`;
const call = async (sandbox: OpenSandbox, method: string, path: string, body?: unknown) => {
  const answer = await fetch(urlOf(sandbox, path), {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const data: unknown = text.startsWith('{') ? JSON.parse(text) : text;
  return { status: answer.status, data };
};

describe('a sandbox', () => {
  it('bills by its own clock and says so in its books, here and over HTTP', async () => {
    const sandbox = await open();
    await call(sandbox, 'PUT', '/pods/1');
    await sandbox.advance(3600);
    const { clouds } = sandbox.books();
    expect(clouds).toMatchObject([
      { cloud: 'tiny', spentUsd: 0.36, creditUsd: 9.64, usdPerHour: 0.36, billingCount: 1 },
    ]);
    await call(sandbox, 'DELETE', '/pods/1');
    await sandbox.advance(3600);
    const { data } = await call(sandbox, 'GET', '/_sandbox/books');
    expect(data).toMatchObject({
      speed: 0,
      clouds: [
        {
          spentUsd: 0.36,
          billingCount: 0,
          instances: [{ id: '1', state: 'destroyed', billedSeconds: 3600, billing: false }],
        },
      ],
    });
  });

  it('can be driven from outside: time, money, faults, requests', async () => {
    const sandbox = await open();
    const before = sandbox.books().nowSeconds;
    expect(await call(sandbox, 'POST', '/_sandbox/advance', { seconds: 90 })).toMatchObject({
      status: 200,
      data: { nowSeconds: before + 90 },
    });
    expect(await call(sandbox, 'POST', '/_sandbox/credit', { usd: -12 })).toMatchObject({
      data: { creditUsd: -2 },
    });
    const added = await call(sandbox, 'POST', '/_sandbox/faults', [
      { kind: 'broken', times: 1 },
      { kind: 'lost', route: 'GET /pods/9' },
    ]);
    expect(added.data).toMatchObject({ faults: [{ id: 'fault-1' }, { id: 'fault-2' }] });
    expect((await call(sandbox, 'GET', '/pods/1')).status).toBe(500);
    expect((await call(sandbox, 'GET', '/pods/1')).status).toBe(200);
    await expect(call(sandbox, 'GET', '/pods/9')).rejects.toThrow('fetch failed');
    expect((await call(sandbox, 'GET', '/_sandbox/faults')).data).toMatchObject({
      faults: [
        { kind: 'broken', struck: 1 },
        { kind: 'lost', struck: 1 },
      ],
      kinds: [{ kind: 'broken', cloud: 'tiny' }, { kind: 'lost' }],
    });
    expect((await call(sandbox, 'DELETE', '/_sandbox/faults?id=fault-2')).data).toEqual({
      ended: 1,
    });
    expect((await call(sandbox, 'GET', '/pods/9')).status).toBe(200);
    const { data } = await call(sandbox, 'GET', '/_sandbox/requests?limit=2');
    expect(data).toMatchObject({
      total: 4,
      requests: [
        { method: 'GET', path: '/pods/9', fault: 'drop' },
        { path: '/pods/9', status: 200 },
      ],
    });
    await call(sandbox, 'POST', '/_sandbox/faults', { chaos: 1 });
    expect((await call(sandbox, 'GET', '/pods/1')).status).toBe(500);
    await call(sandbox, 'DELETE', '/_sandbox/faults');
    expect((await call(sandbox, 'GET', '/pods/1')).status).toBe(200);
  });

  it.each([
    ['POST', 'faults', { kind: 'unheard-of' }, 'Faults: broken, lost.'],
    ['POST', 'faults', { kind: 'broken', time: 3 }, 'Unrecognized key'],
    ['POST', 'advance', { seconds: -1 }, 'seconds'],
    ['POST', 'credit', undefined, 'expected object'],
  ])('%s %s %j is refused with the reason', async (method, name, body, words) => {
    const sandbox = await open();
    const { status, data } = await call(sandbox, method, `/_sandbox/${name}`, body);
    expect(status).toBe(400);
    expect(JSON.stringify(data)).toContain(words);
  });

  it('an unknown control route names those there are; the overview too', async () => {
    const sandbox = await open();
    const { status, data } = await call(sandbox, 'GET', '/_sandbox/nonsense');
    expect(status).toBe(404);
    expect(JSON.stringify(data)).toContain('POST advance');
    expect((await call(sandbox, 'GET', '/_sandbox/')).data).toMatchObject({
      routes: expect.arrayContaining(['GET books']) as string[],
    });
  });

  it('a fault that nobody knows is refused before anything runs, and nothing is left', async () => {
    await expect(open({ faults: [{ kind: 'unheard-of' }] })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    expect(await readdir(sandboxes.folder)).toEqual([]);
  });

  it('says what it destroyed, once, and stops serving', async () => {
    const sandbox = await open();
    for (const id of ['1', '2', '3']) await call(sandbox, 'PUT', `/pods/${id}`);
    await call(sandbox, 'DELETE', '/pods/2');
    expect(await sandbox.end()).toBe(2);
    expect(await sandbox.end()).toBe(2);
    await expect(call(sandbox, 'GET', '/pods/1')).rejects.toThrow('fetch failed');
    expect(await readdir(sandboxes.folder)).toEqual([]);
  });
});
