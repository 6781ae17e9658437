import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { poll } from '../../src/core/poll.ts';
import { podFactsFrom, podProbe } from '../../src/health/pod-probe.ts';
import { openLocalProvider } from '../support/local-provider.ts';
import { openSshClient } from '../support/openssh.ts';
import {
  endpointOf,
  type MachinesFixture,
  openMachines,
  RTX_4090,
} from '../support/sandbox-machines.ts';

const { signal } = new AbortController();

describe('a machine of the sandbox', () => {
  let fixture: MachinesFixture;
  let key: { readonly keyPath: string; readonly line: string };
  let port = 0;
  const ssh = async (command: string, keyPath = key.keyPath) => {
    const state = { status: 'running', host: '127.0.0.1', port } as const;
    const ended = await openSshClient(endpointOf(state, keyPath)).ssh(command);
    return { code: ended.code, out: ended.stdout.toString().trim(), err: ended.stderr };
  };
  const start = async (): Promise<void> => {
    port = (await fixture.until('1', 'running')).port ?? 0;
  };
  beforeAll(async () => {
    fixture = await openMachines();
    key = await fixture.newKey('client');
    await fixture.machines.start(
      fixture.spec({
        authorizedKeys: [key.line],
        env: { CONTAINER_ID: '4711', CONTAINER_API_KEY: "it's secret" },
        setup:
          'echo "boot of $CONTAINER_ID"; date +%s%N >>"$HOME/boots"; env >> /etc/environment; a=(b c); echo "${a[1]}"',
      }),
    );
    await start();
  });
  afterAll(async () => fixture[Symbol.asyncDispose]());

  it('lets in who holds a key of the cloud, and nobody else', async () => {
    const other = await fixture.newKey('other');
    expect(await ssh('echo in')).toMatchObject({ code: 0, out: 'in' });
    expect(await ssh('echo in', other.keyPath)).toMatchObject({ code: 255, out: '' });
  });

  it('takes keys that are added while it runs, and forgets those that are taken away', async () => {
    const later = await fixture.newKey('later');
    const own = await fixture.newKey('own');
    await ssh(`echo '${own.line}' >> ~/.ssh/authorized_keys`);
    await fixture.machines.authorize('1', [key.line, later.line]);
    expect(await ssh('echo in', later.keyPath)).toMatchObject({ code: 0, out: 'in' });
    await fixture.machines.authorize('1', [key.line]);
    expect((await ssh('echo in', later.keyPath)).code).toBe(255);
    expect(await ssh('echo in', own.keyPath), 'a key added on the machine').toMatchObject({
      code: 0,
    });
  });

  it('boots with the variables of its container; sessions see what the script wrote to /etc/environment', async () => {
    expect(await fixture.machines.bootLog('1')).toContain('boot of 4711\nc\n');
    expect((await ssh('echo "$CONTAINER_ID $CONTAINER_API_KEY"')).out).toBe("4711 it's secret");
    const { out: token } = await ssh('echo "$GPU_LEASE_POD"');
    await ssh('echo GPU_LEASE_POD=stolen >> ~/.ssh/environment');
    expect((await ssh('echo "$GPU_LEASE_POD"')).out, 'what makes the pod the pod').toBe(token);
  });

  it('shows the GPUs it was sold with, also to a login shell and to our own probe', async () => {
    const names = await ssh('nvidia-smi -L');
    expect(names.out.split('\n')).toHaveLength(2);
    expect(names.out).toMatch(/^GPU 0: NVIDIA GeForce RTX 4090 \(UUID: GPU-/);
    expect((await ssh("sh -lc 'nvidia-smi -L | wc -l'")).out).toBe('2');
    const query = 'nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits';
    expect((await ssh(query)).out.split('\n')).toEqual(
      Array.from({ length: 2 }, () => 'NVIDIA GeForce RTX 4090, 24564'),
    );
    expect((await ssh('nvidia-smi')).out).toContain('CUDA Version: 12.8');
    const { gpuTool, gpus } = podFactsFrom(Buffer.from((await ssh(podProbe(undefined))).out));
    expect(gpuTool).toBe('yes');
    expect(gpus).toMatchObject([
      { index: 0, memoryTotalMib: 24_564, utilizationPercent: 0 },
      { index: 1, name: 'NVIDIA GeForce RTX 4090', throttleMask: 1 },
    ]);
  });

  it('stops, comes back on its own disk with its keys, and boots again', async () => {
    await ssh('echo kept > file');
    const boots = Number((await ssh('wc -l <boots')).out);
    await fixture.machines.stop('1');
    await fixture.until('1', 'stopped');
    expect((await ssh('true')).code).toBe(255);
    await fixture.machines.resume('1');
    await start();
    expect((await ssh('cat file')).out).toBe('kept');
    await fixture.machines.restart('1');
    expect((await fixture.machines.look('1')).status).toBe('starting');
    await start();
    const again = await poll(
      async () => ((await ssh('wc -l <boots')).out === String(boots + 2) ? true : undefined),
      { clock: systemClock, signal, timeoutSeconds: 10, everySeconds: 0.1 },
    );
    expect(again).toBe(true);
  });

  it('is gone after destroy, with its files and its GPU', async () => {
    await fixture.machines.destroy('1');
    expect(await fixture.machines.look('1')).toEqual({ status: 'gone' });
    const gone = await poll(
      async () => ((await fixture.pods.listPods({ signal })).length === 0 ? true : undefined),
      { clock: systemClock, signal, timeoutSeconds: 20, everySeconds: 0.05 },
    );
    expect(gone).toBe(true);
    expect(await readdir(path.join(fixture.folder, 'machines'))).toEqual([]);
  });
});

describe('machines of the sandbox', () => {
  it('their GPU is nowhere but on them', async () => {
    await using fixture = await openMachines();
    const key = await fixture.newKey('client');
    await fixture.machines.start(fixture.spec({ authorizedKeys: [key.line] }));
    await fixture.until('1', 'running');
    await using local = await openLocalProvider();
    const offers = await local.provider.listOffers(
      {
        gpu: ['RTX 4090'],
        gpuCount: 1,
        minVramGb: 24,
        diskGb: 1,
        minReliability: 0,
        regions: [],
        providers: [],
        interruptible: false,
        limit: 5,
      } as unknown as Parameters<typeof local.provider.listOffers>[0],
      { signal },
    );
    expect(offers.map(({ offerId }) => offerId)).not.toContainEqual(
      expect.stringContaining('4090'),
    );
    const { podId } = await local.provider.createPod(
      local.request({ setup: 'command -v nvidia-smi; echo "$PATH"' }),
      { signal },
    );
    const endpoint = await poll(
      async () => {
        const seen = await local.provider.getPod(podId, { signal });
        return seen?.endpoint;
      },
      { clock: systemClock, signal, timeoutSeconds: 20, everySeconds: 0.05 },
    );
    if (endpoint === undefined) throw new Error('The local pod did not start.');
    const client = openSshClient({ ...endpoint, keyPath: local.keyPath });
    const found = await client.ssh('command -v nvidia-smi; echo "$PATH"');
    expect(found.stdout.toString()).not.toContain(fixture.folder);
  });

  it('one that refuses keys lets nobody in, whatever its boot script does', async () => {
    await using fixture = await openMachines();
    const key = await fixture.newKey('client');
    const setup = `mkdir -p ~/.ssh; echo '${key.line}' >> ~/.ssh/authorized_keys; echo done`;
    const spec = fixture.spec({ authorizedKeys: [key.line], setup, refusesKeys: true });
    await fixture.machines.start(spec);
    const state = await fixture.until('1', 'running');
    const booted = await poll(
      async () => ((await fixture.machines.bootLog('1')).includes('done') ? true : undefined),
      { clock: systemClock, signal, timeoutSeconds: 10, everySeconds: 0.05 },
    );
    expect(booted).toBe(true);
    await fixture.machines.authorize('1', [key.line]);
    const refused = await openSshClient(endpointOf(state, key.keyPath)).ssh('true');
    expect(refused).toMatchObject({ code: 255 });
    expect(refused.stderr).toContain('Permission denied (publickey)');
  });

  it('the first line of a boot script decides what reads it', async () => {
    await using fixture = await openMachines();
    const setup = '#!/bin/sh\nps -o args= -p $$\n';
    await fixture.machines.start(fixture.spec({ setup }));
    await fixture.until('1', 'running');
    const log = await poll(async () => (await fixture.machines.bootLog('1')) || undefined, {
      clock: systemClock,
      signal,
      timeoutSeconds: 10,
      everySeconds: 0.05,
    });
    expect(log).toMatch(/^\/bin\/sh \/.*\/onstart\.sh\n$/);
  });

  it('many at once, each with its own GPU, and dispose ends them all', async () => {
    const fixture = await openMachines();
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    const key = await fixture.newKey('client');
    await Promise.all(
      ids.map(async (id, index) =>
        fixture.machines.start(
          fixture.spec({
            id,
            authorizedKeys: [key.line],
            gpu: { ...RTX_4090, count: index + 1 },
          }),
        ),
      ),
    );
    const counts = await Promise.all(
      ids.map(async (id) => {
        const state = await fixture.until(id, 'running');
        const ended = await openSshClient(endpointOf(state, key.keyPath)).ssh('nvidia-smi -L');
        return ended.stdout.toString().trim().split('\n').length;
      }),
    );
    expect(counts).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await fixture.pods.listPods({ signal })).toHaveLength(6);
    await fixture[Symbol.asyncDispose]();
  });

  it('a machine ends itself when nobody lengthens its time, and lives on while somebody does', async () => {
    await using fixture = await openMachines(4);
    await fixture.machines.start(fixture.spec());
    await fixture.until('1', 'running');
    const began = Date.now();
    const lives = async () => (await fixture.machines.look('1')).status === 'running';
    const past = await poll(
      async () => (Date.now() - began > 6000 || !(await lives()) ? true : undefined),
      { clock: systemClock, signal, timeoutSeconds: 15, everySeconds: 0.2 },
    );
    expect(past).toBe(true);
    expect(await lives(), 'beyond its first deadline').toBe(true);
  });
});
