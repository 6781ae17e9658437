import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { BuiltServer, listAt, MAIN, sandbox, textAt } from '../support/built-server.ts';
import { gone, readyPod } from '../support/day.ts';

const run = promisify(execFile);

it('a second program that ends takes nothing from a server that has moved files [OW-07]', async () => {
  await using box = await sandbox();
  const second = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [MAIN, ...args, '--json'], {
      env: {
        PATH: process.env['PATH'],
        GPU_LEASE_HOME: box.home,
        GPU_LEASE_WORKSPACE: box.workspace,
      },
    });
    return stdout;
  };
  const server = await BuiltServer.start(box);
  const first = await readyPod(server);
  await mkdir(path.join(box.workspace, 'code'), { recursive: true });
  await writeFile(path.join(box.workspace, 'code', 'train.py'), 'print(1)\n');
  await server.call('sync_files', { podId: first, localPath: 'code', remotePath: 'code' });
  await second('pods');
  // What the server writes from now on must be what everybody reads, and what is there after it died.
  const later = await readyPod(server);
  expect(JSON.parse(await second('pods'))).toMatchObject({
    pods: expect.arrayContaining([
      expect.objectContaining({ podId: later, mode: 'managed' }),
    ]) as unknown,
  });
  await server.kill9();
  await using next = await BuiltServer.start(box);
  const pods = listAt(await next.call('list_pods', {}), 'pods').map((pod) => textAt(pod, 'podId'));
  expect(pods).toEqual(expect.arrayContaining([first, later]));
  for (const podId of [first, later]) await gone(next, podId);
});
