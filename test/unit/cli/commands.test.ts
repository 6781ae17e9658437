import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/run.ts';
import type { Gate } from '../../../src/core/files.ts';
import type { Doctor } from '../../../src/core/health.ts';
import { jobIdSchema, podIdSchema } from '../../../src/core/ids.ts';
import type { DestroyOutcome, Pod, Pods } from '../../../src/core/pods.ts';
import type { VerifyRequest } from '../../../src/core/receipt.ts';
import { ManualClock } from '../../support/clock.ts';
import { servicesOf, testHost, watcherOver } from './host.ts';

const POD: Pod = {
  podId: podIdSchema.parse('local:abc'),
  name: 'demo',
  provider: 'local',
  mode: 'managed',
  status: 'ready',
  usdPerHour: 0.5,
  spentUsd: 0.25,
  deadlineAt: '2026-01-01T02:10:00.000Z',
};
type Listing = Awaited<ReturnType<Pods['list']>>;
const LISTING: Listing = {
  pods: [POD],
  providers: [{ provider: 'local', ok: true }],
  usdPerHour: 0.5,
  spentUsd: 0.25,
};
type Findings = Awaited<ReturnType<Doctor['check']>>;
const FINDINGS: Findings = {
  providers: [{ provider: 'local', configured: true, reachable: true }],
  sshKey: { path: '/k', exists: true, fingerprint: 'SHA256:x' },
  tools: { ssh: true, rsync: false },
  home: '/h',
  workspace: '/w',
  missing: [],
  fixed: [],
};

describe('doctor', () => {
  const run = async (findings: Findings, argv: readonly string[] = ['doctor']) => {
    const asked: unknown[] = [];
    const services = servicesOf({
      doctor: {
        check: async (request) => {
          asked.push(request);
          return Promise.resolve(findings);
        },
      },
    });
    const host = testHost({ services });
    const code = await runCli(argv, host);
    return { code, asked, text: host.written() };
  };

  it('shows what is there', async () => {
    const { code, text } = await run(FINDINGS);
    expect(code).toBe(0);
    expect(text).toMatch(/local +on/);
    expect(text).toMatch(/rsync +not found/);
    expect(text).toContain('Ready: what is on works.');
  });
  it('shows how long the balance lasts [KE-02]', async () => {
    const vast = { provider: 'vast' as const, configured: true, reachable: true };
    const { text } = await run({
      ...FINDINGS,
      providers: [{ ...vast, balanceUsd: 12.5, usdPerHour: 0.5, hoursLeft: 25 }],
    });
    expect(text).toMatch(/vast +on .*\$12\.50 \(25\.0 h at what runs\)/);
  });
  it('lists what could be set up; a cloud that is off is no failure', async () => {
    const { code, text } = await run({ ...FINDINGS, missing: ['vast is off'] });
    expect(code).toBe(0);
    expect(text).toContain('Not set up:\n  - vast is off');
  });
  it('says what to type, not what an agent would call', async () => {
    const missing = [
      'No SSH key yet: it is made with the first pod, or now with fix "generate_ssh_key".',
      'Our SSH key is not on the vast account yet: the first pod registers it, or now fix "register_ssh_key".',
    ];
    const { text } = await run({ ...FINDINGS, missing });
    expect(text).toContain('now with gpu-lease doctor --fix generate_ssh_key.');
    expect(text).toContain('now run gpu-lease doctor --fix register_ssh_key.');
    expect(text).not.toContain('fix "');
  });
  it.each([
    [[], 'No provider is on'],
    [[{ provider: 'vast' as const, configured: false }], 'No provider is on'],
    [[{ provider: 'vast' as const, configured: true, reachable: false }], 'vast: it does not'],
    [[{ provider: 'vast' as const, configured: true, problem: 'bad key' }], 'vast: bad key'],
  ])('exits 1 when %j', async (providers, words) => {
    const { code, text } = await run({ ...FINDINGS, providers });
    expect(code).toBe(1);
    expect(text).toContain(words);
  });
  it('passes the fix on and answers in JSON', async () => {
    const { asked, text } = await run(FINDINGS, [
      'doctor',
      '--fix',
      'generate_ssh_key',
      '--provider',
      'local',
      '--json',
    ]);
    expect(asked).toEqual([{ fix: 'generate_ssh_key', provider: 'local' }]);
    expect(JSON.parse(text)).toEqual(FINDINGS);
  });

  it('says which clouds are a rehearsal', async () => {
    const cloud = (provider: 'runpod' | 'lambda') => ({
      provider,
      configured: true,
      reachable: true,
    });
    const providers = [{ ...cloud('runpod'), isMadeUp: true }, cloud('lambda')];
    const { text } = await run({ ...FINDINGS, providers });
    expect(text).toContain(
      'Rehearsal: runpod is a sandbox on this machine. No machine or money there is real.',
    );
    expect((await run(FINDINGS)).text).not.toContain('Rehearsal');
  });
});

describe('pods', () => {
  const run = async (listing: Listing, argv: readonly string[] = ['pods']) => {
    const services = servicesOf({ pods: { list: async () => Promise.resolve(listing) } });
    const host = testHost({ services });
    const code = await runCli(argv, host);
    return { code, text: host.written() };
  };

  it('lists pods with the burn rate', async () => {
    const { code, text } = await run(LISTING);
    expect(code).toBe(0);
    expect(text).toMatch(/local:abc +demo +ready +- +\$0\.5000 +\$0\.2500 +2 h 10 min/);
    expect(text).toContain('Burning $0.5000 per hour');
  });
  it('shows disks that are charged although nothing uses them [VO-03]', async () => {
    const volumeId = podIdSchema.parse('vast:V.881');
    const volume = { volumeId, name: 'data', sizeGb: 20, usdPerMonth: 3, podIds: [] };
    const { text } = await run({ ...LISTING, volumes: [volume] });
    expect(text).toMatch(/vast:V\.881 +data +20 GB +\$3\.00 +no pod/);
    expect((await run(LISTING)).text).not.toContain('VOLUME');
  });
  it('says when the list may be incomplete, and exits 1', async () => {
    const providers = [{ provider: 'vast' as const, ok: false, error: 'evil\x1b[2Jtext' }];
    const { code, text } = await run({ ...LISTING, pods: [], providers });
    expect(code).toBe(1);
    expect(text).toContain('No pods.');
    expect(text).toContain('vast did not answer, so its pods are unknown: eviltext');
  });
  it('answers in JSON', async () => {
    const { text } = await run(LISTING, ['pods', '--json', '--all']);
    expect(JSON.parse(text)).toEqual(LISTING);
  });
});

const HOLDER = {
  epoch: 3,
  holder: '4711@boot@1',
  pid: 4711,
  way: 'background' as const,
  version: '1.2.3',
  reach: [],
  takenAt: '2026-01-01T00:00:00.000Z',
  beatAt: '2026-01-01T00:00:05.000Z',
  deeds: [],
};

describe('watch', () => {
  it('reconciles, enforces, tells what it did, and ends on the signal', async () => {
    const stop = new AbortController();
    const rounds: string[] = [];
    const pods = {
      reconcile: async () => {
        rounds.push('reconcile');
        return Promise.resolve();
      },
      enforce: async () => {
        rounds.push('enforce');
        if (rounds.length === 4) throw new Error('boom');
        if (rounds.length === 6) stop.abort();
        return Promise.resolve(['local:abc destroyed: deadline']);
      },
      list: async () => Promise.resolve(LISTING),
    };
    const clock = new ManualClock();
    const services = servicesOf({ pods, watcher: watcherOver(pods, clock) });
    const host = testHost({ services, signal: stop.signal });
    expect(await runCli(['watch'], host)).toBe(0);
    expect(rounds).toEqual([
      'reconcile',
      'enforce',
      'reconcile',
      'enforce',
      'reconcile',
      'enforce',
    ]);
    expect(host.written()).toContain('local:abc destroyed: deadline');
    expect(host.written().match(/Watching every/g)).toHaveLength(1);
    expect(host.written()).toContain('The watcher ended.');
    // A bad round is told and does not end the watch.
    expect(host.complaints()).toContain('internal');
  });
  it('says once what a round found gone and lost, also where nothing was done about it [L-34]', async () => {
    const clock = new ManualClock();
    const lost = [
      { jobId: jobIdSchema.parse('job_aaaabbbbcccc'), path: 'model.pt', why: 'Nothing.' },
    ];
    const seenAt = clock.now().toISOString();
    const one = { name: 'a', endedAt: seenAt, why: 'a', seenAt, rescued: [], lost };
    const ended = [
      { ...one, podId: podIdSchema.parse('local:found') },
      { ...one, podId: podIdSchema.parse('local:acted') },
      { ...one, podId: podIdSchema.parse('local:old'), seenAt: '2020-01-01T00:00:00.000Z' },
    ];
    const pods = {
      reconcile: async () => Promise.resolve(),
      enforce: async () => Promise.resolve(['local:acted: gone already. NOT HOME: "model.pt".']),
      list: async () => Promise.resolve({ ...LISTING, ended }),
    };
    const host = testHost({ services: servicesOf({ pods, watcher: watcherOver(pods, clock) }) });
    expect(await runCli(['watch', '--once'], host)).toBe(0);
    const lines = host
      .written()
      .split('\n')
      .filter((line) => line.includes('NOT HOME'));
    expect(lines).toEqual([
      expect.stringContaining('local:acted: gone already'),
      expect.stringMatching(
        /local:found ended unasked at .* NOT HOME: "model.pt" of job_aaaabbbbcccc/,
      ),
    ]);
  });
  it('exits 1 after one bad round with --once', async () => {
    const pods = {
      reconcile: async () => Promise.reject(new Error('boom')),
      enforce: async () => Promise.resolve([]),
      list: async () => Promise.resolve(LISTING),
    };
    const watcher = watcherOver(pods, new ManualClock());
    const services = servicesOf({ pods, watcher });
    const host = testHost({ services });
    expect(await runCli(['watch', '--once', '--json'], host)).toBe(1);
    expect(JSON.parse(host.written())).toMatchObject({ error: { code: 'internal' } });
  });

  it('does nothing where another process watches, and says which; a round of cron is no failure', async () => {
    const pods = { reconcile: async () => Promise.reject(new Error('must not be called')) };
    const by = { ...HOLDER };
    const watcher = { watch: async () => Promise.resolve({ kind: 'held' as const, by }) };
    const once = testHost({ services: servicesOf({ pods, watcher }) });
    expect(await runCli(['watch', '--once'], once)).toBe(0);
    expect(once.written()).toContain('process 4711 (background');
    const foreground = testHost({ services: servicesOf({ pods, watcher }) });
    expect(await runCli(['watch'], foreground)).toBe(1);
    expect(foreground.written()).toContain('Not started: process 4711');
    expect(foreground.written()).not.toContain('Watching every');
    expect(foreground.written()).toContain('--wait');
  });
});

describe('destroy', () => {
  const GATE: Gate = { gate: 'artifact_not_fetched', path: 'model.pt', why: 'It is not home.' };
  const GONE: DestroyOutcome = {
    outcome: 'gone',
    receipt: {
      podId: POD.podId,
      name: 'demo',
      provider: 'local',
      usdPerHour: 0.5,
      createdAt: '2026-01-01T00:00:00Z',
      endedAt: '2026-01-01T01:00:00Z',
      runtimeSeconds: 3600,
      estimatedUsd: 0.5,
      artifacts: [],
      proof: { how: 'The provider no longer lists it.', readAt: '2026-01-01T01:00:01Z' },
    },
  };
  const run = async (
    argv: readonly string[],
    { answer, outcome = GONE }: { answer?: string; outcome?: DestroyOutcome } = {},
  ) => {
    const orders: unknown[] = [];
    const services = servicesOf({
      files: { gates: async () => Promise.resolve([GATE]) },
      pods: {
        get: async () => Promise.resolve({ pod: POD, reached: false }),
        destroy: async (podId, request) => {
          orders.push({ podId, ...request });
          return Promise.resolve(outcome);
        },
      },
    });
    const host = testHost({
      services,
      interactive: answer !== undefined,
      stdin: Readable.from(answer === undefined ? [] : [answer]),
    });
    const code = await runCli(['destroy', ...argv], host);
    return { code, orders, text: host.written(), complaints: host.complaints() };
  };

  it('shows the gates and asks; yes destroys', async () => {
    const { code, orders, text } = await run(['local:abc'], { answer: 'y\n' });
    expect(code).toBe(0);
    expect(text).toContain('artifact_not_fetched model.pt: It is not home.');
    expect(text).toContain('Destroy local:abc? [y/N]');
    expect(orders).toEqual([
      { podId: 'local:abc', discardUnfetched: false, waitSeconds: 45, by: 'person' },
    ]);
    expect(text).toContain('is gone: The provider no longer lists it.');
  });
  it.each(['\n', 'n\n', 'yesterday\n', ''])(
    'anything else than yes does nothing: %j',
    async (answer) => {
      const { code, orders } = await run(['local:abc'], { answer });
      expect(code).toBe(1);
      expect(orders).toEqual([]);
    },
  );
  it('without a terminal it wants --yes and never hangs [TD-07]', async () => {
    const { code, orders, complaints } = await run(['local:abc']);
    expect(code).toBe(2);
    expect(orders).toEqual([]);
    expect(complaints).toContain('--yes');
  });
  it('giving up files needs a reason and passes it on', async () => {
    const { code, orders } = await run([
      'local:abc',
      '--yes',
      '--discard-unfetched',
      '--reason',
      'a test',
    ]);
    expect(code).toBe(0);
    expect(orders).toMatchObject([{ discardUnfetched: true, reason: 'a test' }]);
  });
  it.each([
    [{ outcome: 'present', pod: POD } as const, 'still there and may cost money'],
    [{ outcome: 'unknown', pod: POD } as const, 'Nobody could say'],
    [{ outcome: 'blocked', pod: POD, missing: [GATE] } as const, 'was not destroyed'],
  ])('%o is not success', async (outcome, words) => {
    const { code, text } = await run(['local:abc', '--yes'], { outcome });
    expect(code).toBe(1);
    expect(text).toContain(words);
  });
  it('answers in JSON', async () => {
    const { text } = await run(['local:abc', '--yes', '--json']);
    expect(JSON.parse(text)).toEqual({ podId: 'local:abc', ...GONE });
  });
});

describe('verify', () => {
  it('looks in each folder of --files, from the working folder', async () => {
    const asked: VerifyRequest[] = [];
    const verifier = async () =>
      Promise.resolve({
        verify: async (request: VerifyRequest) => {
          asked.push(request);
          return Promise.resolve({ ok: true, receipts: [], findings: [], notChecked: [] });
        },
      });
    const argv = ['verify', 'receipts', '--files', 'a', '--files', '/b'];
    expect(await runCli(argv, testHost({ verifier }))).toBe(0);
    expect(await runCli(['verify', 'receipts'], testHost({ verifier }))).toBe(0);
    expect(asked).toEqual([
      {
        target: '/nowhere/project/receipts',
        chainOnly: false,
        files: ['/nowhere/project/a', '/b'],
      },
      { target: '/nowhere/project/receipts', chainOnly: false },
    ]);
  });
});
