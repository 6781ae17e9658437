import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { type Caller, finished, gone, opened, started } from '../support/day.ts';
import { type Exchange, startRecordingProxy } from '../support/recording-proxy.ts';
import { accept, becomesReady, ordered, vastClient } from '../support/vast-client.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/vast-sandbox.ts';

const LONG = 300_000;
/** The query of the user's skill, as it stands there. */
const SKILL_QUERY = 'gpu_ram>=24 num_gpus=1 reliability>0.9 disk_space>=64';
const LOGIN = 'me:pass-word-123@ghcr.io';
const TOKEN = 'hf_0123456789abcdefghijklmnopqrstuvwx';

/**
 * Every command of the user's skill, and the call of the wire that the tools made instead of it in the walks below. Without a
 * call: what is done in its place.
 */
const COMMANDS: readonly (readonly [command: string, proof: RegExp | string, body?: RegExp])[] = [
  ['vastai show ssh-keys', /^GET \/api\/v0\/ssh\//],
  ['vastai create ssh-key "<public key>"', /^POST \/api\/v0\/ssh\//, /ssh-ed25519/],
  [
    "vastai search offers '<Q>' -o 'dph_total' --raw",
    /^POST \/api\/v0\/bundles\//,
    /\["dph_total","asc"\]/,
  ],
  ['search offers -i', /^POST \/api\/v0\/bundles\//, /"type":"bid"/],
  ['search offers --storage 64', /^POST \/api\/v0\/bundles\//, /"allocated_storage":64/],
  ["vastai search templates ['name=X']", /^GET \/api\/v0\/template\/.*name/],
  [
    'vastai create instance --image I --disk 64 --ssh',
    /^PUT \/api\/v0\/asks\//,
    /"disk":64.*"image":"\S+","runtype":"ssh_direct"/,
  ],
  ['--label L', /^PUT \/api\/v0\/asks\//, /"label":"gl-|"label":"[\w-]+/],
  ['--onstart-cmd S', /^PUT \/api\/v0\/asks\//, /"onstart":".*setup\.txt/],
  ['--env E', /^PUT \/api\/v0\/asks\//, /"env":\{.*"A":"1".*"-p 8888:8888":"1"/],
  ['--login R', /^PUT \/api\/v0\/asks\//, /"image_login":"-u me -p pass-word-123 ghcr.io"/],
  ['--template_hash H', /^PUT \/api\/v0\/asks\//, /"template_hash_id":"[0-9a-f]+"/],
  ['--template_id N', /^GET \/api\/v0\/template\/.*%22id%22/],
  [
    '--create-volume OID --volume-size 20 --mount-path P',
    /^PUT \/api\/v0\/asks\//,
    /"volume_info":\{"create_new":true,"volume_id":\d+,"size":20,"mount_path":"\/data","name":"train"\}/,
  ],
  [
    '--link-volume VID --mount-path P',
    /^PUT \/api\/v0\/asks\//,
    /"volume_info":\{"create_new":false,"volume_id":\d+,"mount_path":"\/data"\}/,
  ],
  ['--bid_price 0.2', /^PUT \/api\/v0\/asks\//, /"price":[\d.]+/],
  ['vastai show instance <ID> --raw', /^GET \/api\/v0\/instances\/\d+\//],
  ['vastai show instances --raw', /^GET \/api\/v1\/instances\//],
  ['vastai ssh-url <ID>', 'get_pod: pod.endpoint'],
  ['vastai logs <ID> --tail 50', /^PUT \/api\/v0\/instances\/request_logs\/\d+\//, /"tail":"\d+"/],
  ['vastai destroy instance <ID>', /^DELETE \/api\/v0\/instances\/\d+\//],
  ['vastai attach ssh <ID> K', 'the ladder: a pod that refuses our key is given it'],
  ['vastai detach ssh <ID> <KEYID>', "not offered: the keys are the user's"],
  ['vastai stop instance <ID>', /^PUT \/api\/v0\/instances\/\d+\//, /^\{"state":"stopped"\}$/],
  ['vastai start instance <ID>', /^PUT \/api\/v0\/instances\/\d+\//, /^\{"state":"running"\}$/],
  ['vastai reboot instance <ID>', /^PUT \/api\/v0\/instances\/reboot\/\d+\//],
  ['vastai label instance <ID> L', 'update_pod: pod.name'],
  ['vastai change bid <ID>', /^PUT \/api\/v0\/instances\/bid_price\/\d+\//, /"price":[\d.]+/],
  ['vastai stop instances A B', 'one call each: every answer is looked at'],
  ['vastai destroy instances A B -y', 'one call each: each has files of its own to save'],
  ['vastai create volume OID -s 20 -n NAME', 'with the pod that uses it'],
  ['vastai show volumes', /^GET \/api\/v0\/volumes/],
  ['vastai delete volume VID', /^DELETE \/api\/v0\/volumes\//, /"id":\d+/],
  ['vastai show user', /^GET \/api\/v0\/users\/current/],
  ['ssh / scp / tar | ssh', 'session_open, sync_files, fetch_artifacts'],
];

type Row = Awaited<ReturnType<SandboxProcess['books']>>['instances'][number];
const numberOf = (id: string): string => id.replace('vast:', '');

/** What went over the wire in all walks so far. */
const heard: Exchange[] = [];

/** A sandbox in a process of its own, and a proxy before it that writes everything down. */
async function startWalk() {
  const cloud = await startSandboxProcess(['--speed', '60', '--seed', '11', '--offers', '150']);
  const proxy = await startRecordingProxy(cloud.url);
  const rows = async (): Promise<readonly Row[]> => (await cloud.books()).instances;
  const sent = (method: string, part: string): readonly Exchange[] =>
    proxy.exchanges.filter((each) => each.method === method && each.url.includes(part));
  return {
    cloud,
    rows,
    sent,
    open: async (
      box: Awaited<ReturnType<typeof sandbox>>,
      options: Parameters<typeof vastClient>[2] = {},
    ) =>
      vastClient(
        box,
        { url: proxy.url, apiKey: cloud.apiKey },
        { ...options, env: { HF_TOKEN: TOKEN, GHCR_LOGIN: LOGIN } },
      ),
    rowOf: async (id: string): Promise<Row | undefined> =>
      (await rows()).find((row) => row.id === numberOf(id)),
    billing: async (): Promise<readonly string[]> =>
      (await rows()).filter((row) => row.billing).map(({ id }) => id),
    lastCreation: (): Record<string, unknown> =>
      JSON.parse(sent('PUT', '/asks/').at(-1)?.requestBody ?? '{}') as Record<string, unknown>,
    strike: async (rule: Record<string, unknown>): Promise<unknown> =>
      cloud.control('POST', 'faults', rule),
    async [Symbol.asyncDispose]() {
      heard.push(...proxy.exchanges);
      await proxy[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
    },
  };
}
async function find(
  client: Caller,
  extra: Record<string, unknown> = {},
): Promise<readonly Record<string, unknown>[]> {
  const found = await client.call('find_offer', { providers: ['vast'], ...extra });
  return listAt(found, 'offers') as Record<string, unknown>[];
}

describe.concurrent("the user's skill, by MCP clients, against gpu-lease sandbox --speed 60", () => {
  it(
    'all eleven phases: two bad hosts, a job that fails, one that succeeds, everything home and gone [MO-06, CR-05]',
    async () => {
      await using walk = await startWalk();
      const { cloud, rows, rowOf, billing, sent, strike, open } = walk;
      await using box = await sandbox();
      await using client = await open(box);

      // Account and key.
      expect(await client.call('doctor', { provider: 'vast' })).toMatchObject({
        providers: [{ keySource: 'VAST_API_KEY', reachable: true, sshKeyRegistered: false }],
      });
      await client.call('doctor', { fix: 'generate_ssh_key' });
      const account = await client.call('doctor', { provider: 'vast', fix: 'register_ssh_key' });
      expect(account).toMatchObject({ providers: [{ sshKeyRegistered: true }] });
      expect(JSON.stringify(account)).not.toContain(cloud.apiKey);

      // Search, with the words of the skill; the price is that of the disk.
      const offers = await find(client, {
        diskGb: 64,
        expectedHours: 2,
        limit: 5,
        vastQuery: SKILL_QUERY,
      });
      expect(offers).toHaveLength(5);
      const prices = offers.map((offer) => numberAt(offer, 'usdPerHour'));
      expect(prices).toEqual(prices.toSorted((a, b) => a - b));
      for (const offer of offers) {
        expect(offer).toMatchObject({ provider: 'vast', gpuCount: 1, pricing: 'on_demand' });
        expect(numberAt(offer, 'vramGb')).toBeGreaterThanOrEqual(24);
        expect(numberAt(offer, 'reliability')).toBeGreaterThan(0.9);
        expect(numberAt(offer, 'gpuUsdPerHour') + numberAt(offer, 'diskUsdPerHour')).toBeCloseTo(
          numberAt(offer, 'usdPerHour'),
          5,
        );
      }

      // The quote rents nothing; the yes does.
      const offerIds = offers.slice(0, 3).map((offer) => textAt(offer, 'offerId'));
      const [first = '', second = '', third = ''] = offerIds;
      await strike({ kind: 'oci-error', offerId: numberOf(first) });
      await strike({ kind: 'offline', offerId: numberOf(second) });
      const terms = {
        offerIds,
        name: 'walk',
        image: 'pytorch/pytorch:2.4.0-cuda12.4-cudnn9-devel',
        diskGb: 64,
        setup: 'echo "A=$A" > ~/setup.txt',
        env: { A: '1' },
        secretEnv: ['HF_TOKEN'],
        ports: ['8888/http'],
        registryAuth: 'GHCR_LOGIN',
        expectedHours: 2,
        ttlMinutes: 180,
        budgetUsd: 5,
      };
      const quoted = await client.call('create_pod', terms);
      expect(quoted).toMatchObject({ status: 'needs_confirmation', attempts: [] });
      expect(await rows()).toEqual([]);
      expect(numberAt(quoted, 'quote.usdPerHour')).toBeCloseTo(prices[2] ?? 0, 4);
      const quoteId = textAt(quoted, 'quote.quoteId');
      const created = await client.call('create_pod', { quoteId, waitSeconds: 45 });
      const pod = await becomesReady(client, textAt(created, 'pod.podId'));
      const podId = textAt(pod, 'podId');

      // Each bad host was gone in the books of the cloud before the next was rented.
      const books = (await rows()).toSorted((a, b) => a.createdAtSeconds - b.createdAtSeconds);
      expect(books.map(({ offerId }) => `vast:${offerId ?? ''}`)).toEqual([first, second, third]);
      expect(books.map(({ billing: bills }) => bills)).toEqual([false, false, true]);
      for (const [nth, row] of books.slice(1).entries())
        expect(books[nth]?.endedAtSeconds).toBeLessThanOrEqual(row.createdAtSeconds);
      const used = await client.tool('create_pod', { quoteId, waitSeconds: 0 });
      expect(used.isError || textAt(used.data, 'pod.podId') === podId).toBe(true);
      expect(await rows()).toHaveLength(3);

      // Every rung has its seconds, and the GPU is the one that was sold.
      const stages = listAt(pod, 'stages').map((rung) => textAt(rung, 'stage'));
      for (const rung of ['running', 'mapped', 'banner', 'auth', 'command', 'gpu', 'disk'])
        expect(stages).toContain(rung);
      expect(pod).toMatchObject({ name: 'walk', status: 'ready', endpoint: { user: 'root' } });
      expect(textAt(pod, 'measured.gpu')).toContain(textAt(offers[2], 'gpu').split(' ').at(-1));
      const sessionId = await opened(client, podId);
      const card = await client.call('session_write', { sessionId, input: 'nvidia-smi -L' });
      expect(textAt(card, 'output')).toMatch(/^GPU 0: /);
      const setup = await client.call('session_write', { sessionId, input: 'cat ~/setup.txt' });
      expect(textAt(setup, 'output')).toBe('A=1\n');

      // Code over; a job that fails is read, not guessed at.
      const project = path.join(box.workspace, 'project');
      await mkdir(project);
      await writeFile(
        path.join(project, 'train.sh'),
        'for step in 1 2 3 4 5; do echo "step $step/5 loss=0.$step"; sleep 0.3; done\necho \'{"loss": 0.1}\' > metrics.json\n',
      );
      await writeFile(
        path.join(project, 'broken.sh'),
        'echo "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB" >&2\nexit 1\n',
      );
      const over = await client.call('sync_files', {
        podId,
        localPath: 'project',
        remotePath: 'project',
      });
      expect(over).toMatchObject({ verified: true, sent: { files: 2 } });
      const broken = await started(client, { podId, command: 'sh broken.sh', cwd: 'project' });
      const failed = await finished(client, broken);
      expect(failed).toMatchObject({ status: 'failed', exitCode: 1, work: { state: 'broken' } });
      expect(JSON.stringify(failed['diagnosis'])).toMatch(/memory/i);
      const log = await client.call('job_logs', { jobId: broken, stream: 'stderr', tailLines: 5 });
      expect(textAt(log, 'output')).toContain('OutOfMemoryError');

      const jobId = await started(client, {
        podId,
        command: 'sh train.sh',
        cwd: 'project',
        artifacts: ['metrics.json'],
      });
      const done = await finished(client, jobId);
      expect(done).toMatchObject({ status: 'completed', exitCode: 0, work: { state: 'finished' } });
      expect(JSON.stringify(done['progress'])).toContain('5');

      // The boot log, home, gone, report.
      expect(await client.call('diagnose', { podId })).toMatchObject({ verdict: 'ok' });
      expect(await client.call('destroy', { podId })).toMatchObject({ outcome: 'blocked' });
      const home = await client.call('fetch_artifacts', {
        jobId,
        localPath: 'results',
        verify: 'load',
        strict: true,
      });
      expect(home).toMatchObject({ missing: [] });
      const local = path.join(box.workspace, textAt(home, 'manifest.files.0.localPath'));
      const text = await readFile(local, 'utf8').catch(async () =>
        readFile(textAt(home, 'manifest.files.0.localPath'), 'utf8'),
      );
      expect(JSON.parse(text)).toEqual({ loss: 0.1 });
      await gone(client, podId);
      const told = await client.call('report', { podId });
      expect(told).toMatchObject({ status: 'gone', mode: 'managed', filesMissing: [] });
      expect(numberAt(told, 'costUsd')).toBeGreaterThan(0);
      expect(textAt(told, 'destroyed.readAt')).not.toBe('');
      expect(await client.call('list_pods', {})).toMatchObject({ pods: [], usdPerHour: 0 });
      const past = await client.call('list_pods', { includeEnded: true });
      expect(listAt(past, 'pods').length).toBeGreaterThanOrEqual(3);
      expect(await billing()).toEqual([]);
      expect(await rowOf(podId)).toMatchObject({ state: 'destroyed' });
      for (const { requestBody } of sent('PUT', '/asks/')) expect(requestBody).toContain(TOKEN);
      for (const answer of [quoted, created, told, past])
        expect(JSON.stringify(answer)).not.toContain(TOKEN);
      const secrets = [TOKEN, cloud.apiKey, 'pass-word-123'];
      for (const entry of await readdir(box.home, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const kept = await readFile(path.join(entry.parentPath, entry.name), 'latin1');
        for (const secret of secrets)
          expect(kept.includes(secret), `${entry.name} holds ${secret}`).toBe(false);
      }
    },
    LONG,
  );

  it(
    'a bid, by a client of the old era that shows forms: stop, a GPU that is taken, start, reboot, name, bid',
    async () => {
      await using walk = await startWalk();
      const { rowOf, billing, lastCreation, strike, open } = walk;
      await using box = await sandbox();
      const forms: string[] = [];
      await using client = await open(box, {
        peer: 'v1',
        elicit: (form) => {
          forms.push(form.message);
          return accept(form);
        },
      });
      const [offer] = await find(client, {
        interruptible: true,
        vastQuery: 'direct_port_count>=1 min_bid<1',
        maxUsdPerHour: 2,
      });
      const offerId = textAt(offer, 'offerId');
      const lowest = numberAt(offer, 'minBidUsdPerHour');
      const silent = await client.tool('create_pod', { offerId, workload: 'cuda' });
      expect(silent).toMatchObject({ isError: true, data: { code: 'invalid_input' } });
      const created = await client.call('create_pod', {
        offerId,
        workload: 'cuda',
        bidUsdPerHour: lowest * 1.2,
        ttlMinutes: 120,
        budgetUsd: 20,
        waitSeconds: 45,
      });
      expect(forms).toHaveLength(1);
      expect(lastCreation()['price']).toBeCloseTo(lowest * 1.2, 6);
      const podId = textAt(await becomesReady(client, textAt(created, 'pod.podId')), 'podId');

      await client.call('update_pod', { podId, bidUsdPerHour: lowest * 1.3, name: 'renamed' });
      const stopped = await client.call('update_pod', { podId, action: 'stop' });
      expect(textAt(stopped, 'stillCharged')).toContain('disk');
      expect(
        await client.call('get_pod', { podId, waitFor: 'stopped', waitSeconds: 45 }),
      ).toMatchObject({ reached: true, pod: { status: 'stopped' } });
      expect((await rowOf(podId))?.usdPerHour).toBeLessThan(lowest);

      await strike({ kind: 'start-unavailable', times: 1 });
      const taken = await client.tool('update_pod', { podId, action: 'start' });
      expect(taken).toMatchObject({ isError: true, data: { code: 'no_capacity' } });
      expect((await rowOf(podId))?.state).toMatch(/stopped|exited/);
      await client.call('update_pod', { podId, action: 'start' });
      await becomesReady(client, podId);
      await client.call('update_pod', { podId, action: 'restart' });
      const again = await becomesReady(client, podId);
      expect(again).toMatchObject({ name: 'renamed' });
      expect(listAt(await client.call('list_pods', {}), 'pods')).toMatchObject([
        { podId, name: 'renamed' },
      ]);
      await gone(client, podId);
      expect(await billing()).toEqual([]);
    },
    LONG,
  );

  it(
    'templates by hash, number and name; a volume that is new, then there already, then given up [CR-07, VO-01, VO-03]',
    async () => {
      await using walk = await startWalk();
      const { cloud, billing, lastCreation, open } = walk;
      await using box = await sandbox();
      await using client = await open(box);
      const template = (await (
        await fetch(`${cloud.url}/api/v0/template/`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${cloud.apiKey}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({
            name: 'walk template',
            image: 'pytorch/pytorch',
            runtype: 'ssh',
            ssh_direct: true,
            use_ssh: true,
          }),
        })
      ).json()) as { template: { id: number; hash_id: string } };
      const { id, hash_id: hash } = template.template;
      for (const wanted of [hash, String(id), 'walk template']) {
        const [offer] = await find(client, { vastQuery: 'direct_port_count>=1' });
        const terms = { offerId: textAt(offer, 'offerId'), template: wanted, diskGb: 16 };
        const { quoted, created } = await ordered(client, terms, 0);
        expect(JSON.stringify(listAt(quoted, 'quote.notes'))).toContain('pytorch/pytorch');
        expect(lastCreation()).toMatchObject({ template_hash_id: hash });
        expect(lastCreation()).not.toHaveProperty('image');
        await gone(client, textAt(created, 'pod.podId'), { waitSeconds: 45 });
      }

      let madeId = '';
      for (const offer of await find(client, { vastQuery: 'verified=any', limit: 50 })) {
        const terms = { offerId: textAt(offer, 'offerId'), volume: 'new:20:/data:train' };
        const answer = await client.tool('create_pod', terms);
        if (answer.isError) continue;
        const quoteId = textAt(answer.data, 'quote.quoteId');
        madeId = textAt(await client.call('create_pod', { quoteId, waitSeconds: 0 }), 'pod.podId');
        break;
      }
      await becomesReady(client, madeId);
      const [volume] = listAt(await client.call('list_pods', {}), 'volumes');
      expect(volume).toMatchObject({ name: 'train', sizeGb: 20, podIds: [madeId] });
      const volumeId = textAt(volume, 'volumeId');
      const ended = await gone(client, madeId);
      expect(textAt(ended, 'summary')).toContain(volumeId);
      expect(await billing()).toHaveLength(1);

      let linkedId = '';
      for (let tries = 0; linkedId === '' && tries < 40; tries += 1) {
        const [offer] = await find(client, {
          vastQuery: `verified=any machine_id=${textAt(volume, 'machineId')}`,
          minVramGb: 1,
          minReliability: 0,
        }).catch(() => []);
        if (offer === undefined) continue;
        const terms = {
          offerId: textAt(offer, 'offerId'),
          volume: `${volumeId.replace('vast:', '')}:/data`,
        };
        const answer = await client.tool('create_pod', terms);
        if (answer.isError) continue;
        const quoteId = textAt(answer.data, 'quote.quoteId');
        linkedId = textAt(
          await client.call('create_pod', { quoteId, waitSeconds: 0 }),
          'pod.podId',
        );
      }
      expect(linkedId).not.toBe('');
      await gone(client, linkedId, { waitSeconds: 45 });
      expect(await client.call('destroy', { podId: volumeId })).toMatchObject({
        outcome: 'blocked',
      });
      let given: Record<string, unknown> = {};
      for (let tries = 0; given['outcome'] !== 'gone' && tries < 40; tries += 1)
        given = (
          await client.tool('destroy', {
            podId: volumeId,
            discardUnfetched: true,
            reason: 'the user gave it up',
          })
        ).data;
      expect(given).toMatchObject({ outcome: 'gone' });
      expect(await billing()).toEqual([]);
    },
    LONG,
  );
});

describe("each command of the user's skill went over the wire in these walks, or is done by another call", () => {
  it.each(COMMANDS.map(([command, proof, body]) => ({ command, proof, body })))(
    '$command',
    async ({ command, proof, body }) => {
      if (typeof proof === 'string') {
        const skill = await readFile(
          path.resolve(
            import.meta.dirname,
            '../../skills/rent-on-vast/references/vastai-commands.md',
          ),
          'utf8',
        );
        const words = command.replace(/ <.*| [A-Z]{1,4}( .*)?$| \/.*$/, '').replace('vastai ', '');
        expect(skill).toContain(words);
        return;
      }
      const made = heard.some(
        (each) =>
          proof.test(`${each.method} ${each.url}`) &&
          (body === undefined || body.test(each.requestBody)) &&
          each.status === 200,
      );
      expect(made).toBe(true);
    },
  );
});
