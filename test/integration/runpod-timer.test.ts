import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { poll } from '../../src/core/poll.ts';
import { createRunpodProvider } from '../../src/providers/runpod/provider.ts';
import { timerScript } from '../../src/providers/runpod/start-command.ts';
import { startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { type SeenRequest, type StubAnswer, startStubCloud } from '../support/stub-cloud.ts';
import { until } from '../support/watcher-process.ts';

const POD = '50qynxzilsxoey';
const POD_KEY = 'pod-scoped-key-0123456789';
const now = (): number => Math.floor(Date.now() / 1000);
const DONE: StubAnswer = { json: { data: { podTerminate: null } } };
const DENIED: StubAnswer = {
  json: { errors: [{ message: 'Unauthorized', extensions: { code: 'RUNPOD' } }], data: null },
};

/** Runs the timer in a folder of its own until it has asked what is awaited. */
async function timed(
  {
    onExpiry = 'destroy',
    deadline = String(now() - 5),
    searchPath = process.env['PATH'],
    answer = () => DONE,
  }: {
    readonly onExpiry?: 'destroy' | 'stop';
    readonly deadline?: string;
    readonly searchPath?: string | undefined;
    readonly answer?: (request: SeenRequest) => StubAnswer;
  },
  holds: (seen: readonly SeenRequest[]) => boolean,
): Promise<readonly SeenRequest[]> {
  await using cloud = await startStubCloud(answer);
  const folder = mkdtempSync(path.join(tmpdir(), 'gpu-lease-runpod-timer-'));
  const script = timerScript({
    graphqlUrl: `${cloud.url}/graphql`,
    restUrl: `${cloud.url}/v2`,
    onExpiry,
    madeSeconds: now() - 60,
    everySeconds: 0.1,
    graceSeconds: 0,
  });
  writeFileSync(path.join(folder, 'timer'), script);
  writeFileSync(path.join(folder, 'deadline'), `${deadline}\n`);
  writeFileSync(path.join(folder, 'started'), `${now() - 60}\n`);
  const child = spawn('/bin/sh', [path.join(folder, 'timer'), 'gpu-lease-timer'], {
    env: { PATH: searchPath, HOME: folder, RUNPOD_POD_ID: POD, RUNPOD_API_KEY: POD_KEY },
    stdio: 'ignore',
    detached: true,
  });
  try {
    await until(
      10,
      async () => Promise.resolve(holds(cloud.seen)),
      (isSo) => isSo,
    );
    return [...cloud.seen];
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

const linesOf = (seen: readonly SeenRequest[]): readonly string[] =>
  seen.map(({ method, path: at }) => `${method} ${at}`);

it.concurrent('ends its own pod at its deadline, with the key of the pod (runpod.md 6)', async () => {
  const [first] = await timed({}, (seen) => seen.length > 0);
  expect(first).toMatchObject({
    method: 'POST',
    path: '/graphql',
    body: { query: `mutation{podTerminate(input:{podId:"${POD}"})}` },
  });
  expect(first?.headers['authorization']).toBe(`Bearer ${POD_KEY}`);
});

it.concurrent('where GraphQL denies its key it asks REST v2, to end or to stop', async () => {
  const answer = ({ path: at }: SeenRequest): StubAnswer => (at === '/graphql' ? DENIED : {});
  const ended = await timed({ answer }, (seen) => seen.length > 1);
  expect(linesOf(ended).slice(0, 2)).toEqual(['POST /graphql', `DELETE /v2/pods/${POD}`]);
  const stopped = await timed({ answer, onExpiry: 'stop' }, (seen) => seen.length > 1);
  expect(stopped[0]?.body).toEqual({ query: `mutation{podStop(input:{podId:"${POD}"}){id}}` });
  expect(stopped[1]).toMatchObject({
    path: `/v2/pods/${POD}/action`,
    body: { action: 'stop' },
  });
});

it.concurrent.each(['wget', 'python3'])(
  'asks by %s where the image has no curl',
  async (program) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'gpu-lease-path-'));
    try {
      for (const tool of ['date', 'cat', 'sleep', program]) {
        // Python may be found through a wrapper that needs more than this.
        const tell =
          tool === 'python3'
            ? "python3 -c 'import sys; print(sys.executable)'"
            : `command -v ${tool}`;
        const found = execFileSync('/bin/sh', ['-c', tell], { encoding: 'utf8' });
        symlinkSync(found.trim(), path.join(folder, tool));
      }
      const [first] = await timed({ searchPath: folder }, (seen) => seen.length > 0);
      expect(first?.path).toBe('/graphql');
      expect(first?.headers['authorization']).toBe(`Bearer ${POD_KEY}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

it.concurrent('a pod ends itself at its deadline with nobody watching, by its own start command', async () => {
  await using sandbox = await startRunpodSandbox({
    speed: 30,
    offers: 60,
    runpod: { honoursDeadlines: false },
  });
  const options = { signal: new AbortController().signal };
  const publicKey = `ssh-ed25519 ${'A'.repeat(68)} test`;
  const provider = createRunpodProvider({
    apiKey: sandbox.apiKey,
    graphqlUrl: sandbox.graphqlUrl,
    restUrl: sandbox.restV2Url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(publicKey),
  });
  const [offer] = await provider.listOffers(
    {
      gpu: [],
      gpuCount: 1,
      minVramGb: 1,
      diskGb: 20,
      minReliability: 0,
      regions: [],
      interruptible: false,
    },
    options,
  );
  if (offer === undefined) throw new Error('The sandbox has no offer.');
  const { podId } = await provider.createPod(
    {
      offerId: offer.offerId,
      label: 'gl-ends-itself',
      diskGb: 20,
      sshPublicKey: publicKey,
      maxUsdPerHour: offer.usdPerHour * 1.01,
      deadlineAt: new Date(Date.now() + 15_000).toISOString(),
      onExpiry: 'destroy',
      image: 'me/any:1',
      env: {},
      ports: [],
    },
    options,
  );
  const gone = await poll(
    async () => ((await provider.getPod(podId, options)) === undefined ? true : undefined),
    { clock: systemClock, ...options, timeoutSeconds: 80, everySeconds: 1 },
  );
  expect(gone).toBe(true);
}, 100_000);
