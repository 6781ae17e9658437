import { beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { type ArtifactRecord, NO_FILE_MATCHES } from '../../../src/core/files.ts';
import { jobIdSchema, newSessionId, podIdSchema } from '../../../src/core/ids.ts';
import type { Job } from '../../../src/core/job.ts';
import type { Receipt } from '../../../src/core/lease.ts';
import { TOOLS } from '../../../src/tools/index.ts';
import type { Tool, ToolContext } from '../../../src/tools/tool.ts';
import type { Answer } from '../../support/answer.ts';
import {
  AT,
  aJob,
  aJobReport,
  anOffer,
  aPod,
  aQuote,
  aReport,
  aSession,
  fakeContext,
  JOB,
  OFFER,
  type Overrides,
  POD,
  QUOTE,
  RECEIPT,
  SESSION,
} from '../../support/fake-services.ts';

const toolOf = (name: string): Tool => {
  const tool = TOOLS.find((each) => each.name === name);
  if (tool === undefined) throw new Error(`There is no ${name}.`);
  return tool;
};
/** What a caller gets: arguments with defaults, then the result as the tool's own schema leaves it. */
async function run(name: string, args: object, context: ToolContext): Promise<Answer> {
  const tool = toolOf(name);
  const output: z.output<z.ZodObject> = tool.output.parse(
    await tool.handle(tool.input.parse(args), context),
  );
  expect(tool.render(output)).toContain(output['summary']);
  const answer = output as unknown as Answer;
  for (const call of answer.next) {
    const parsed = toolOf(call.tool).input.safeParse(call.arguments ?? {});
    // A call works as it is written, or says what to add.
    for (const { path } of parsed.error?.issues ?? [])
      expect(call.why, `${call.tool} lacks ${path.join('.')}`).toContain(path.join('.'));
  }
  return answer;
}
const asked: unknown[] = [];
beforeEach(() => {
  asked.length = 0;
});
const note = async <T>(answer: T, ...request: unknown[]): Promise<T> => {
  asked.push(...request);
  return Promise.resolve(answer);
};
const context = (overrides: Overrides = {}): ToolContext => fakeContext(overrides);

describe('find_offer', () => {
  it('tells a person without a cloud how to get one', async () => {
    const offer = anOffer({ provider: 'local', rehearsal: true, usdPerHour: 0 });
    const find = async () =>
      Promise.resolve({
        offers: [offer],
        applied: {},
        relaxations: [],
        providers: [],
        snapshotAt: AT,
      });
    const off = await run(
      'find_offer',
      {},
      fakeContext({ offers: { find } }, { providerNames: ['local'] }),
    );
    expect(off.summary).toContain('VAST_API_KEY');
    const on = await run('find_offer', {}, context({ offers: { find } }));
    expect(on.summary).not.toContain('VAST_API_KEY');
  });

  it('asks with the defaults that protect a beginner [MO-07, OF-02]', async () => {
    const base = context();
    const find: ToolContext['offers']['find'] = async (query, options) => {
      asked.push(query);
      return base.offers.find(query, options);
    };
    const answer = await run('find_offer', {}, context({ offers: { find } }));
    expect(asked).toEqual([
      {
        gpu: [],
        gpuCount: 1,
        minVramGb: 24,
        diskGb: 64,
        minReliability: 0.9,
        regions: [],
        providers: [],
        interruptible: false,
        limit: 5,
      },
    ]);
    expect(answer.summary).toContain('not a reservation');
    expect(answer.next[0]).toMatchObject({ tool: 'create_pod', arguments: { offerId: OFFER } });
  });

  it('without an offer points at the filter to drop, and at a cloud that was down [OF-05, OF-09]', async () => {
    const answer = await run(
      'find_offer',
      { gpu: ['H100'] },
      context({
        offers: {
          find: async () =>
            Promise.resolve({
              offers: [],
              applied: { gpu: ['H100'] },
              relaxations: [{ drop: 'gpu', wouldMatch: 7 }],
              providers: [
                { provider: 'vast', ok: true },
                { provider: 'runpod', ok: false, error: 'timed out' },
              ],
              snapshotAt: '2026-01-01T00:00:00Z',
            }),
        },
      }),
    );
    expect(answer.summary).toBe(
      'No answer from runpod. No offer of those that answered matches. See relaxations for the filter to drop.',
    );
    expect(answer.next.map(({ tool }) => tool)).toEqual(['doctor', 'find_offer']);
  });

  it('never says that nothing is on sale where nobody answered [OF-09]', async () => {
    const find = async () =>
      Promise.resolve({
        offers: [],
        applied: {},
        relaxations: [],
        providers: [{ provider: 'lambda' as const, ok: false, error: 'provider_unavailable: 500' }],
        snapshotAt: AT,
      });
    const answer = await run('find_offer', {}, context({ offers: { find } }));
    expect(answer.summary).toBe('No answer from lambda. Whether anything matches is not known.');
    expect(answer.next.map(({ tool }) => tool)).toEqual(['doctor', 'find_offer']);
    expect(JSON.stringify(answer.next)).not.toContain('fewer filters');
  });
});

describe('create_pod', () => {
  it('tells what was given beside a quoteId, and no default [CO-12]', async () => {
    const pods = {
      create: async (request: Parameters<ToolContext['pods']['create']>[0]) =>
        note(
          { status: 'needs_confirmation' as const, quote: aQuote() },
          request.stated,
          request.terms,
        ),
    };
    await run('create_pod', { quoteId: QUOTE, ttlMinutes: 600 }, context({ pods }));
    await run('create_pod', { quoteId: QUOTE, waitSeconds: 3 }, context({ pods }));
    await run('create_pod', { quoteId: QUOTE, offerId: OFFER }, context({ pods }));
    await run('create_pod', { offerId: OFFER }, context({ pods }));
    expect([asked[0], asked[2], asked[4], asked[6]]).toEqual([
      { ttlMinutes: 600 },
      {},
      { offerIds: [OFFER] },
      undefined,
    ]);
    expect(asked[7]).toEqual({
      offerIds: [OFFER],
      diskGb: 64,
      env: {},
      secretEnv: [],
      ports: [],
      ttlMinutes: 360,
      onExpiry: 'destroy',
      maxAttempts: 3,
    });
  });

  const creating = (outcome: Awaited<ReturnType<ToolContext['pods']['create']>>): ToolContext =>
    context({ pods: { create: async (request) => note(outcome, request) } });

  it('hands over complete terms with the defaults', async () => {
    await run(
      'create_pod',
      { offerId: OFFER },
      creating({ status: 'ready', pod: aPod(), attempts: [] }),
    );
    expect(asked).toEqual([
      {
        terms: {
          offerIds: [OFFER],
          diskGb: 64,
          env: {},
          secretEnv: [],
          ports: [],
          ttlMinutes: 360,
          onExpiry: 'destroy',
          maxAttempts: 3,
        },
        waitSeconds: 25,
      },
    ]);
  });

  it('takes a quote alone, since the quote has the terms', async () => {
    await run(
      'create_pod',
      { quoteId: QUOTE },
      creating({ status: 'provisioning', pod: aPod(), attempts: [] }),
    );
    expect(asked).toMatchObject([{ quoteId: QUOTE, terms: { offerIds: [] } }]);
  });

  it('says that nothing is rented, and what to show the user', async () => {
    const answer = await run(
      'create_pod',
      { offerIds: [OFFER] },
      creating({ status: 'needs_confirmation', quote: aQuote() }),
    );
    expect(answer.summary).toContain(
      'Nothing is rented yet. Show the user this price and ask: $0.35/h on demand, at most $2.10 in 6 h 0 min.',
    );
    expect(answer.next).toMatchObject([{ tool: 'create_pod', arguments: { quoteId: QUOTE } }]);
  });

  it('does not offer the quote again to somebody who declined it', async () => {
    const answer = await run(
      'create_pod',
      { offerId: OFFER },
      creating({ status: 'needs_confirmation', quote: aQuote(), declined: true }),
    );
    expect(answer['declined']).toBe(true);
    expect(answer.summary).toContain('Ask the user before calling create_pod again');
    expect(JSON.stringify(answer.next)).not.toContain(QUOTE);
  });

  it('after a failure says whether something may still be charged', async () => {
    const attempt = { offerId: OFFER, reason: 'no stock' } as const;
    const clean = await run(
      'create_pod',
      { offerId: OFFER },
      creating({ status: 'failed', attempts: [{ ...attempt, cleanup: 'gone' }] }),
    );
    expect(clean.summary).toContain('Nothing is left running');
    const dirty = await run(
      'create_pod',
      { offerId: OFFER },
      creating({ status: 'failed', attempts: [{ ...attempt, cleanup: 'unknown' }] }),
    );
    expect(dirty.summary).toContain('may still be charged');
    expect(dirty.next[0]?.tool).toBe('list_pods');
  });
});

describe('destroy', () => {
  it('names the call for every kind of open gate, at most three', async () => {
    const answer = await run(
      'destroy',
      { podId: POD },
      context({
        pods: {
          destroy: async () =>
            Promise.resolve({
              outcome: 'blocked',
              pod: aPod(),
              missing: [
                { gate: 'job_running', jobId: JOB, why: 'it runs' },
                { gate: 'artifact_not_fetched', jobId: JOB, path: 'a', why: 'not home' },
                { gate: 'artifact_broken', jobId: JOB, path: 'b', why: 'cut short' },
                { gate: 'not_checked', why: 'no answer' },
              ],
            }),
        },
      }),
    );
    expect(answer.summary).toContain('is kept: 4 open gates');
    expect(answer.next.map(({ tool }) => tool)).toEqual(['job_wait', 'fetch_artifacts', 'get_pod']);
  });

  it('does not send anybody to fetch a broken file again, which brings the same', async () => {
    const broken = { gate: 'artifact_broken' as const, jobId: JOB, path: 'b', why: 'cut short' };
    const answer = await run(
      'destroy',
      { podId: POD },
      context({
        pods: {
          destroy: async () =>
            Promise.resolve({ outcome: 'blocked', pod: aPod(), missing: [broken] }),
        },
      }),
    );
    expect(answer.next).toMatchObject([{ tool: 'job_logs', arguments: { jobId: JOB } }]);
    expect(answer.summary).toMatch(/1 file came home and cannot be opened.*run it again/);
    expect(answer.summary).toContain('ask the user, then destroy with discardUnfetched');
  });

  it.each(['artifact_not_fetched', 'artifact_changed', 'artifact_not_home'] as const)(
    'names no way to lose what a fetch still brings home: %s',
    async (gate) => {
      const open = { gate, jobId: JOB, path: 'a', why: 'It is only on the pod.' };
      const answer = await run(
        'destroy',
        { podId: POD },
        context({
          pods: {
            destroy: async () =>
              Promise.resolve({ outcome: 'blocked', pod: aPod(), missing: [open] }),
          },
        }),
      );
      expect(answer.next).toMatchObject([{ tool: 'fetch_artifacts', arguments: { jobId: JOB } }]);
      expect(answer.summary).toContain('Bring it home with fetch_artifacts, then destroy.');
      expect(JSON.stringify(answer)).not.toContain('discardUnfetched');
    },
  );

  it('does not send anybody to fetch what was never written', async () => {
    const why = `The job ended as completed and ${NO_FILE_MATCHES}.`;
    const nowhere = { gate: 'artifact_not_fetched' as const, jobId: JOB, path: 'a', why };
    const answer = await run(
      'destroy',
      { podId: POD },
      context({
        pods: {
          destroy: async () =>
            Promise.resolve({ outcome: 'blocked', pod: aPod(), missing: [nowhere] }),
        },
      }),
    );
    expect(answer.next).toMatchObject([{ tool: 'job_logs', arguments: { jobId: JOB } }]);
    expect(answer.summary).toContain('ask the user, then destroy with discardUnfetched');
  });

  it.each(['present', 'unknown'] as const)('never calls "%s" gone [TD-05]', async (outcome) => {
    const answer = await run(
      'destroy',
      { podId: POD },
      context({ pods: { destroy: async () => Promise.resolve({ outcome, pod: aPod() }) } }),
    );
    expect(answer.summary).toContain('Billing may go on');
    expect(answer.summary).not.toContain('is gone');
    expect(answer.next[0]).toMatchObject({ tool: 'destroy', arguments: { podId: POD } });
  });
});

describe('session_write', () => {
  const page = { output: '', offset: 5, nextOffset: 5, hasMore: false };
  const idle = {
    sessionId: SESSION,
    state: 'idle',
    typedTo: 'shell',
    done: true,
    ...page,
  } as const;
  const write = async (): Promise<typeof idle> => Promise.resolve(idle);
  const half = async (input: string, more: object): Promise<Answer> =>
    run('session_write', { sessionId: SESSION, input, ...more }, context({ sessions: { write } }));

  it('says of half a line that nothing has run, and how it would', async () => {
    const answer = await half('echo ha', { newline: false });
    expect(answer.summary).toMatch(/^Typed at the shell and not run: key enter runs it/);
    expect(answer.next).toMatchObject([
      { tool: 'session_write', arguments: { sessionId: SESSION, key: 'enter' } },
    ]);
    expect((await half('echo ha\n', { newline: false })).summary).not.toContain('not run');
    expect((await half('', {})).summary).not.toContain('not run');
  });
});

describe('list_pods', () => {
  it('puts sessions, jobs and what is not home beside each pod, and profiles after them', async () => {
    const answer = await run('list_pods', {}, context());
    expect(answer.pods).toMatchObject([
      {
        podId: POD,
        sessions: [{ sessionId: SESSION, state: 'idle' }],
        jobs: [{ jobId: JOB, status: 'running' }],
        unfetched: [{ jobId: JOB, path: 'out/*.safetensors' }],
      },
      { podId: 'ssh:lab', mode: 'user_managed', sessions: [], unfetched: [] },
    ]);
    expect(answer.summary).toBe(
      "1 pod, burning $0.35/h; $0.12 spent. Beside them 1 saved profile of the user's own machines, not seen running.",
    );
  });

  it('looks at what a shell does: its record says only that it was opened', async () => {
    const look = async () => Promise.resolve([aSession({ state: 'busy' })]);
    const busy = await run('list_pods', {}, context({ sessions: { look } }));
    expect(busy.pods[0]).toMatchObject({ sessions: [{ sessionId: SESSION, state: 'busy' }] });
    const mute = async () => Promise.reject(new Error('no link'));
    const unseen = await run('list_pods', {}, context({ sessions: { look: mute } }));
    expect(unseen.pods[0]).toMatchObject({ sessions: [{ state: 'unreachable' }] });
  });

  it('a machine of the user whose shell was just seen is one that runs', async () => {
    const own = { podId: podIdSchema.parse('ssh:lab'), state: 'busy' as const };
    const sessions = {
      list: async () => Promise.resolve([aSession({ ...own, state: 'idle' })]),
      look: async (podId: string) => Promise.resolve(podId === 'ssh:lab' ? [aSession(own)] : []),
    };
    const answer = await run('list_pods', {}, context({ sessions }));
    expect(answer.pods).toMatchObject([
      { podId: POD, sessions: [] },
      { podId: 'ssh:lab', status: 'ready', sessions: [{ state: 'busy' }] },
    ]);
    expect(answer.summary).toMatch(/^2 pods/);
  });

  it('shows the records when the pod does not answer about its jobs', async () => {
    const answer = await run(
      'list_pods',
      {},
      context({
        sessions: { list: async () => Promise.resolve([aSession({ state: 'closed' })]) },
        jobs: { refresh: async () => Promise.reject(new Error('no link')) },
      }),
    );
    expect(answer.pods[0]).toMatchObject({ sessions: [], jobs: [{ status: 'running' }] });
  });

  it('shows the limits that are set, with what is used of each [CO-12]', async () => {
    const limits = [
      { name: 'GPU_LEASE_MAX_PODS', limit: 4, used: 1, scope: 'pods' },
      { name: 'GPU_LEASE_BUDGET_USD', limit: 10, used: 4.1, scope: 'spent or reserved in all' },
    ];
    const listed = { pods: [], providers: [], usdPerHour: 0, spentUsd: 0, limits };
    const list = async () => Promise.resolve(listed);
    const answer = await run('list_pods', {}, context({ pods: { list } }));
    expect(answer.summary).toContain(
      'Limits that the user set and no tool lifts: GPU_LEASE_MAX_PODS 1 of 4, GPU_LEASE_BUDGET_USD $4.10 of $10.00 spent or reserved in all.',
    );
  });

  it('names the idle limit, in minutes', async () => {
    const limits = [{ name: 'GPU_LEASE_IDLE_MINUTES', limit: 1, used: 0, scope: 'minutes' }];
    const listed = { pods: [], providers: [], usdPerHour: 0, spentUsd: 0, limits };
    const list = async () => Promise.resolve(listed);
    const answer = await run('list_pods', {}, context({ pods: { list } }));
    expect(answer.summary).toContain('GPU_LEASE_IDLE_MINUTES 1 minute (the idlest pod: 0;');
  });

  describe('of a pod that ended unasked [L-34]', () => {
    const lost = [{ jobId: JOB, path: 'out/*.safetensors', why: 'Nothing of it came home.' }];
    const rescued = [{ jobId: JOB, files: 2, folder: '/state/rescued/local-abc' }];
    const ended = [
      {
        podId: POD,
        name: 'train',
        endedAt: AT,
        why: 'its deadline had come',
        seenAt: AT,
        rescued,
        lost,
      },
    ];
    const told = `${POD} ended unasked at ${AT} (its deadline had come). Rescued: 2 files of ${JOB} in /state/rescued/local-abc. NOT HOME: "out/*.safetensors" of ${JOB}.`;
    const listing = (pods: readonly ReturnType<typeof aPod>[]) =>
      context({
        pods: {
          list: async () =>
            Promise.resolve({ pods, providers: [], usdPerHour: 0, spentUsd: 0, ended }),
        },
      });

    it('says what was rescued, where, and what is nowhere', async () => {
      const answer = await run('list_pods', {}, listing([]));
      expect(answer.summary).toContain(told);
      expect(answer.next).toMatchObject([{ tool: 'report', arguments: { podId: POD } }]);
    });

    it('names it beside the pod, and suggests no fetch from what is gone', async () => {
      const answer = await run(
        'list_pods',
        { includeEnded: true },
        listing([aPod({ status: 'gone' })]),
      );
      expect(answer.pods[0]).toMatchObject({
        unfetched: [{ jobId: JOB, path: 'out/*.safetensors' }],
      });
      expect(answer.next.map(({ tool }) => tool)).toEqual(['report']);
    });
  });

  it('says whose pods may be missing from the list', async () => {
    const answer = await run(
      'list_pods',
      {},
      context({
        pods: {
          list: async () =>
            Promise.resolve({
              pods: [aPod({ mode: 'unmanaged' })],
              providers: [{ provider: 'runpod', ok: false, error: '500' }],
              usdPerHour: 1,
              spentUsd: 0,
            }),
        },
      }),
    );
    expect(answer.summary).toContain('1 machine not rented by us');
    expect(answer.summary).toContain('No answer from runpod: their pods may be missing here.');
  });
});

it('a profile is addressed like a pod of provider ssh [MO-01]', async () => {
  const machines: string[] = [];
  const base = context();
  const lab = podIdSchema.parse('ssh:lab');
  const seen = context({
    sessions: {
      open: async (podId, request, options) => {
        machines.push(podId);
        return base.sessions.open(podId, request, options);
      },
    },
    jobs: {
      start: async (request, options) => {
        machines.push(request.podId);
        return base.jobs.start(request, options);
      },
    },
    files: {
      sync: async (request, options) => {
        machines.push(request.podId);
        return base.files.sync(request, options);
      },
    },
  });
  await run('session_open', { profileId: 'lab' }, seen);
  await run('job_start', { profileId: 'lab', command: 'make' }, seen);
  await run('sync_files', { profileId: 'lab', localPath: '.' }, seen);
  expect(machines).toEqual([lab, lab, lab]);
});

describe('job_wait', () => {
  it('says in its first sentences that a command never ran', async () => {
    const remedy = 'It did not start: the disk of the pod is full. Make room.';
    const finding = { code: 'not_started', class: 'disk', retryable: 'after_fix' as const, remedy };
    const report = aJobReport({ status: 'failed', diagnosis: [finding] });
    const wait = async () => Promise.resolve(report);
    const { summary } = await run('job_wait', { jobId: JOB }, context({ jobs: { wait } }));
    expect(summary).toContain(`is failed. ${remedy}`);
    expect(summary).not.toContain('exit code');
  });

  const waiting = async (changes: Parameters<typeof aJobReport>[0]): Promise<Answer> =>
    run(
      'job_wait',
      { jobId: JOB },
      context({ jobs: { wait: async () => Promise.resolve(aJobReport(changes)) } }),
    );

  it.each([
    ['completed', ['fetch_artifacts']],
    ['failed', ['diagnose', 'job_logs', 'fetch_artifacts']],
    ['timed_out', ['diagnose', 'job_logs', 'fetch_artifacts']],
    ['cancelled', ['fetch_artifacts']],
    ['lost', ['get_pod']],
    ['running', ['job_wait']],
    ['running_unreachable', ['job_wait', 'diagnose']],
  ] as const)('%s: then %j', async (status, tools) => {
    const answer = await waiting({ status });
    expect(answer.next.map(({ tool }) => tool)).toEqual(tools);
  });

  it.each([
    ['completed', ['report']],
    ['failed', ['report', 'job_logs']],
    ['lost', ['report']],
    ['running_unreachable', ['job_wait', 'diagnose']],
  ] as const)('%s, of a pod that is gone: then %j', async (status, tools) => {
    const answer = await run(
      'job_wait',
      { jobId: JOB },
      context({
        jobs: { wait: async () => Promise.resolve(aJobReport({ status })) },
        pods: { receipt: async () => Promise.resolve(RECEIPT) },
      }),
    );
    expect(answer.next.map(({ tool }) => tool)).toEqual(tools);
    expect(answer.summary.includes('pod is gone')).toBe(status !== 'running_unreachable');
    const logs = { output: '', offset: 0, nextOffset: 0, hasMore: false, status };
    const page = await run(
      'job_logs',
      { jobId: JOB },
      context({
        jobs: { logs: async () => Promise.resolve(logs) },
        pods: { receipt: async () => Promise.resolve(RECEIPT) },
      }),
    );
    const expected = status === 'running_unreachable' ? 'job_wait' : 'report';
    expect(page.next.map(({ tool }) => tool)).toEqual([expected]);
  });

  it('says how far it is and how long it takes', async () => {
    const answer = await waiting({
      progress: { done: 50, total: 200, unit: 'step', percent: 25, etaSeconds: 90 },
      runtimeSeconds: 30,
    });
    expect(answer.summary).toBe(
      `Job ${JOB} is running, work: working, 25.0 % done, about 1 min 30 s left, 30 s so far.`,
    );
  });
});

it('job_start warns when nothing guards the outputs', async () => {
  const answer = await run(
    'job_start',
    { podId: POD, command: 'make' },
    context({
      jobs: {
        start: async () => Promise.resolve({ job: aJob({ artifacts: [] }), firstLines: '' }),
      },
    }),
  );
  expect(answer.summary).toContain('No artifacts are declared');
});

it('fetch_artifacts never calls a broken or incomplete fetch done', async () => {
  const base = context();
  const answer = await run(
    'fetch_artifacts',
    { jobId: JOB, localPath: 'out' },
    context({
      jobs: { get: async () => Promise.resolve(aJob({ status: 'completed' })) },
      files: {
        fetch: async (request, options) => ({
          ...(await base.files.fetch(request, options)),
          missing: ['last.pt'],
        }),
      },
    }),
  );
  expect(answer.summary).toContain('1 declared path missing');
  expect(answer.next.map(({ tool }) => tool)).toEqual(['session_open']);
});

it.each([
  [true, ['session_open']],
  [false, ['destroy']],
] as const)(
  'fetch_artifacts says what was refused; destroy would lose it: %s',
  async (holdsData, tools) => {
    const base = context();
    const why = 'It is a symbolic link that leads out.';
    const answer = await run(
      'fetch_artifacts',
      { podId: POD, paths: ['out'], localPath: 'out' },
      context({
        jobs: { list: async () => Promise.resolve([]) },
        files: {
          fetch: async (request, options) => ({
            ...(await base.files.fetch(request, options)),
            refused: [{ path: 'out/link', why }],
            refusals: [{ why, count: 1, holdsData }],
          }),
        },
      }),
    );
    expect(answer.summary).toContain(`1 not fetched: ${why}`);
    expect(answer.next.map(({ tool }) => tool)).toEqual(tools);
    expect(answer).not.toHaveProperty('refusals');
  },
);

it('fetch_artifacts says how many files it kept beside what came, and their names as data', async () => {
  const base = context();
  const told = async (kept: number): Promise<Answer> =>
    run(
      'fetch_artifacts',
      { podId: POD, paths: ['out'], localPath: 'out' },
      context({
        jobs: { list: async () => Promise.resolve([]) },
        files: {
          fetch: async (request, options) => {
            const result = await base.files.fetch(request, options);
            const [first] = result.manifest.files;
            if (first === undefined) throw new Error('one file is fetched');
            const files = [{ ...first, keptAs: '/w/out/a.kept-0123456789ab' }];
            return { ...result, manifest: { ...result.manifest, files }, kept };
          },
        },
      }),
    );
  const one = await told(1);
  expect(one.summary).toContain(
    '1 file here was not what a fetch had put there, and is kept beside what came: keptAs in manifest says where.',
  );
  expect(one.summary).not.toContain('kept-0123456789ab');
  expect(one).toHaveProperty('manifest.files.0.keptAs', '/w/out/a.kept-0123456789ab');
  expect(one).not.toHaveProperty('kept');
  expect((await told(2)).summary).toContain('2 files here were not');
});

describe('fetch_artifacts names the next call that the gate of destroy agrees with [AR-05]', () => {
  const done = aJob({ status: 'completed' });
  const other = jobIdSchema.parse('job_zzzzzzzzzzzz');
  const fetched = async (
    proof: 'hash' | 'loaded',
    args: object = {},
    jobs: readonly Job[] = [done],
  ): Promise<Answer> => {
    const base = context();
    const record = { podId: POD, jobId: JOB, remotePath: '/workspace/out/a.safetensors' };
    return run(
      'fetch_artifacts',
      { jobId: JOB, localPath: 'out', ...args },
      context({
        jobs: {
          get: async () => Promise.resolve(done),
          list: async () => Promise.resolve(jobs),
        },
        artifacts: { list: async () => Promise.resolve([record as ArtifactRecord]) },
        files: {
          fetch: async (request, options) => {
            const result = await base.files.fetch(request, options);
            const files = result.manifest.files.map((file) => ({ ...file, proof }));
            return { ...result, manifest: { ...result.manifest, files } };
          },
        },
      }),
    );
  };

  it('what was not opened is opened first, from what is home', async () => {
    const answer = await fetched('hash', { verify: 'hash', paths: ['out'] });
    expect(answer.next).toEqual([
      {
        tool: 'fetch_artifacts',
        why: expect.any(String) as string,
        arguments: { jobId: JOB, localPath: 'out', paths: ['out'], verify: 'load' },
      },
    ]);
    expect(answer.summary).toContain('1 file not opened');
  });

  it('what was opened, or is of a type that is not, may go', async () => {
    expect((await fetched('loaded')).next).toMatchObject([{ tool: 'destroy' }]);
    expect((await fetched('hash')).next).toMatchObject([{ tool: 'destroy' }]);
    expect((await fetched('loaded', { verify: 'structure' })).next).toMatchObject([
      { tool: 'destroy' },
    ]);
  });

  it('another job of the pod is waited for, then its results come home', async () => {
    const running = aJob({ jobId: other });
    expect((await fetched('loaded', {}, [done, running])).next).toMatchObject([
      { tool: 'job_wait', arguments: { jobId: other } },
    ]);
    const open = aJob({ jobId: other, status: 'failed' });
    expect((await fetched('loaded', {}, [done, open])).next).toMatchObject([
      { tool: 'fetch_artifacts', arguments: { jobId: other } },
    ]);
  });
});

describe('destroy says what went with the pod', () => {
  const destroyed = async (receipt: Receipt): Promise<Answer & { readonly text: string }> => {
    const pods = { destroy: async () => Promise.resolve({ outcome: 'gone' as const, receipt }) };
    const answer = await run('destroy', { podId: POD }, context({ pods }));
    return { ...answer, text: toolOf('destroy').render(answer) };
  };

  it('each gate that was waived, by name', async () => {
    const gates = [
      { gate: 'job_running' as const, jobId: JOB, why: 'It runs.' },
      { gate: 'artifact_not_fetched' as const, jobId: JOB, path: 'a.pt', why: 'Only there.' },
    ];
    const waiver = { reason: 'scrap', by: 'caller' as const, at: AT, gates };
    const answer = await destroyed({ ...RECEIPT, waiver });
    expect(answer.summary).toContain(
      '2 open gates waived by caller (1 job_running, 1 artifact_not_fetched): receipt.waiver.gates names each.',
    );
    expect(answer.text).toContain(`- job_running ${JOB}: It runs.`);
    expect(answer.text).toContain(`- artifact_not_fetched ${JOB} a.pt: Only there.`);
  });

  it('the sessions whose command it ended, and none that ended before', async () => {
    const other = newSessionId();
    const third = newSessionId();
    let records = [
      aSession(),
      aSession({ sessionId: other }),
      aSession({ sessionId: third, state: 'closed', wasCutOff: true }),
    ];
    const destroy = async () => {
      records = records.map((one) => ({
        ...one,
        state: 'closed' as const,
        ...(one.sessionId === SESSION ? { wasCutOff: true } : {}),
      }));
      return Promise.resolve({ outcome: 'gone' as const, receipt: RECEIPT });
    };
    const { summary } = await run(
      'destroy',
      { podId: POD },
      context({ pods: { destroy }, sessions: { list: async () => Promise.resolve(records) } }),
    );
    expect(summary).toContain(
      `A command that was still running in this session was ended: ${SESSION};`,
    );
    expect(summary).not.toContain(other);
    expect(summary).not.toContain(third);
  });

  it('what was lost when it had ended by itself, without a field of its own', async () => {
    const notHome = [{ jobId: JOB, path: 'a.pt', why: 'Nothing of it came home.' }];
    const answer = await destroyed({ ...RECEIPT, notHome });
    expect(answer.summary).toContain(`NOT HOME: "a.pt" of ${JOB}.`);
    expect(answer['receipt']).not.toHaveProperty('notHome');
  });
});

it('report keeps the three successes apart and asks for the end of what is still charged [RP-03]', async () => {
  const open = aReport({ status: 'ready' });
  delete open.destroyed;
  const answer = await run(
    'report',
    { podId: POD },
    context({ reports: { report: async () => Promise.resolve(open) } }),
  );
  expect(answer.summary).toContain('Command success: yes; artifacts: yes; scientific: unknown.');
  expect(answer.next.map(({ tool }) => tool)).toEqual(['destroy']);
});

it('report sends for results only those jobs that declared some, and nobody for a broken file', async () => {
  const other = jobIdSchema.parse('job_nothingdeclared');
  const row = { name: 'train', command: 'python train.py', status: 'completed' as const };
  const next = async (filesMissing: string[]) => {
    const open = aReport({
      status: 'ready',
      filesMissing,
      jobs: [
        { ...row, jobId: other },
        { ...row, jobId: JOB },
      ],
    });
    delete open.destroyed;
    const answer = await run(
      'report',
      { podId: POD },
      context({
        reports: { report: async () => Promise.resolve(open) },
        jobs: {
          list: async () =>
            Promise.resolve([
              aJob({ jobId: other, artifacts: [] }),
              aJob({ jobId: JOB, artifacts: ['a'] }),
            ]),
        },
      }),
    );
    return answer.next.map(({ tool, arguments: args }) => [tool, args?.['jobId']]);
  };
  expect(await next(['a'])).toEqual([['fetch_artifacts', JOB]]);
  expect(await next(['a (home at /b/a, but failed its check: it ends too early)'])).toEqual([
    ['job_logs', JOB],
  ]);
});

describe('what is suggested next never costs work', () => {
  const reported = async (changes: Parameters<typeof aReport>[0]): Promise<Answer> => {
    const open = aReport({ status: 'ready', ...changes });
    delete open.destroyed;
    return run(
      'report',
      { podId: POD },
      context({ reports: { report: async () => Promise.resolve(open) } }),
    );
  };
  const job = (status: 'running' | 'completed') => ({
    jobId: JOB,
    name: 'train',
    command: 'python train.py',
    status,
  });

  it('report: a running job is waited for, results come home, and only then the pod ends', async () => {
    const tools = async (changes: Parameters<typeof aReport>[0]) =>
      (await reported(changes)).next.map(({ tool }) => tool);
    expect(await tools({ jobs: [job('running')], filesMissing: ['last.pt'] })).toEqual([
      'job_wait',
    ]);
    expect(await tools({ jobs: [job('completed')], filesMissing: ['last.pt'] })).toEqual([
      'fetch_artifacts',
    ]);
    expect(await tools({ jobs: [job('completed')] })).toEqual(['destroy']);
    expect(await tools({ mode: 'user_managed' })).toEqual([]);
  });

  it('fetch_artifacts: of a job that still runs, the end is waited for before any destroy', async () => {
    const answer = await run(
      'fetch_artifacts',
      { jobId: JOB, localPath: 'out' },
      context({ jobs: { get: async () => Promise.resolve(aJob({ status: 'running' })) } }),
    );
    expect(answer.next.map(({ tool }) => tool)).toEqual(['job_wait']);
  });

  it('job_logs: the next page has the same filter and size', async () => {
    const answer = await run(
      'job_logs',
      { jobId: JOB, grep: 'loss', maxBytes: 200 },
      context({
        jobs: {
          logs: async () =>
            Promise.resolve({
              output: 'loss 1\n',
              offset: 0,
              nextOffset: 50,
              hasMore: true,
              status: 'running',
            }),
        },
      }),
    );
    expect(answer.next[0]?.arguments).toEqual({
      jobId: JOB,
      stream: 'stdout',
      offset: 50,
      maxBytes: 200,
      grep: 'loss',
    });
  });

  it('find_offer: names the filter that stands in the way', async () => {
    const base = context();
    const answer = await run(
      'find_offer',
      {},
      context({
        offers: {
          find: async (query, options) => ({
            ...(await base.offers.find(query, options)),
            offers: [],
            relaxations: [{ drop: 'minReliability', wouldMatch: 3 }],
          }),
        },
      }),
    );
    expect(JSON.stringify(answer.next)).toContain('without minReliability');
  });
});

describe('what a newcomer reads', () => {
  it('find_offer: a rehearsal is never sold as the GPU that was asked for', async () => {
    const base = context();
    const found = await run(
      'find_offer',
      { gpu: ['H100'] },
      context({
        offers: {
          find: async (query, options) => ({
            ...(await base.offers.find(query, options)),
            offers: [anOffer({ gpuCount: 0, usdPerHour: 0, rehearsal: true, why: 'rehearsal' })],
          }),
        },
      }),
    );
    expect(found.summary).toContain('No GPU offer matches.');
    expect(found.summary).toContain('Tell the user.');
    expect(found.next[0]?.why).toContain('it has no GPU');
  });

  it('destroy and fetch_artifacts name the way out when a file will never exist', async () => {
    const base = context();
    const blocked = await run(
      'destroy',
      { podId: POD },
      context({
        pods: {
          destroy: async () =>
            Promise.resolve({
              outcome: 'blocked',
              pod: aPod(),
              missing: [
                {
                  gate: 'artifact_not_fetched',
                  jobId: JOB,
                  path: 'a',
                  why: `x ${NO_FILE_MATCHES}`,
                },
              ],
            }),
        },
      }),
    );
    const fetched = await run(
      'fetch_artifacts',
      { jobId: JOB, localPath: 'out' },
      context({
        jobs: { get: async () => Promise.resolve(aJob({ status: 'completed' })) },
        files: {
          fetch: async (request, options) => ({
            ...(await base.files.fetch(request, options)),
            missing: ['a'],
          }),
        },
      }),
    );
    for (const { summary } of [blocked, fetched])
      expect(summary).toMatch(/ask the user, then destroy with discardUnfetched and their reason/);
  });

  it.each([
    ['failed', undefined, ['job_wait'], /is failed already: nothing runs\. job_wait tells why/],
    ['failed', 'true', ['job_wait'], /If smokeCommand failed, command never ran/],
    ['completed', undefined, ['job_wait'], /is completed\./],
    ['running', undefined, ['job_wait', 'job_cancel'], /is running\./],
  ] as const)('job_start that is %s (smoke %s): then %j', async (status, smoke, tools, words) => {
    const answer = await run(
      'job_start',
      { podId: POD, command: 'x', ...(smoke === undefined ? {} : { smokeCommand: smoke }) },
      context({
        jobs: { start: async () => Promise.resolve({ job: aJob({ status }), firstLines: '' }) },
      }),
    );
    expect(answer.summary).toMatch(words);
    expect(answer.next.map(({ tool }) => tool)).toEqual(tools);
  });

  it('update_pod says when the pod now ends earlier', async () => {
    const update = async (deadlineBefore: string) =>
      run(
        'update_pod',
        { podId: POD, ttlMinutes: 20 },
        context({
          pods: {
            update: async () =>
              Promise.resolve({ pod: aPod(), stillCharged: 'All.', deadlineBefore }),
          },
        }),
      );
    expect((await update('2026-01-01T09:00:00.000Z')).summary).toContain(
      'Its deadline is now EARLIER: 2026-01-01T06:00:00.000Z, was 2026-01-01T09:00:00.000Z.',
    );
    expect((await update('2026-01-01T01:00:00.000Z')).summary).not.toContain('EARLIER');
  });

  it('update_pod names the session whose command a stop ended', async () => {
    let records = [aSession()];
    const update = async () => {
      records = [aSession({ state: 'closed', wasCutOff: true })];
      return Promise.resolve({ pod: aPod({ status: 'stopped' }), stillCharged: 'Disk.' });
    };
    const { summary } = await run(
      'update_pod',
      { podId: POD, action: 'stop' },
      context({ pods: { update }, sessions: { list: async () => Promise.resolve(records) } }),
    );
    expect(summary).toContain(`in this session was ended: ${SESSION};`);
  });

  it('update_pod says aloud what is not home, and asks about what a stop would wipe [VO-04]', async () => {
    const stop = async (more: object) =>
      run(
        'update_pod',
        { podId: POD, action: 'stop' },
        context({
          pods: {
            update: async () =>
              Promise.resolve({ pod: aPod({ status: 'stopped' }), stillCharged: 'Disk.', ...more }),
          },
        }),
      );
    const gates = [{ gate: 'artifact_not_fetched', jobId: JOB, path: 'model.pt', why: 'x' }];
    expect((await stop({ notHome: gates })).summary).toMatch(
      /NOT HOME: model\.pt\. .*Tell the user/,
    );
    expect((await stop({})).summary).not.toContain('NOT HOME');
    const change = { podId: POD, action: 'stop', discardUnfetched: true };
    const quote = { ...aQuote(), change, notes: ['stop it although it wipes "model.pt"'] };
    const asks = await stop({ quote });
    expect(asks.summary).toContain('Not done yet: work would be LOST.');
    expect(asks.summary).toContain('model.pt');
    expect(asks.next.map(({ tool }) => tool)).toEqual(['update_pod', 'fetch_artifacts']);
  });

  it('session_read of an early page says of its command that it ended, not that it runs', async () => {
    const { sessions } = context();
    const read: ToolContext['sessions']['read'] = async (...args) => ({
      ...(await sessions.read(...args)),
      state: 'idle',
      hasMore: true,
      commands: [{ commandId: 'cmd_a', done: true }],
    });
    const call = { sessionId: SESSION, offset: 0 };
    const { summary } = await run('session_read', call, context({ sessions: { read } }));
    expect(summary).toContain('The last command here has ended; how, a later page tells.');
  });

  it.each(['closed', 'lost', 'idle', 'unreachable'] as const)(
    'session_read of a session that is %s never says that a command runs when it cannot know',
    async (state) => {
      const base = context();
      const read: ToolContext['sessions']['read'] = async (...args) => ({
        ...(await base.sessions.read(...args)),
        state,
        commands: [{ commandId: 'c', done: false }],
      });
      const answer = await run(
        'session_read',
        { sessionId: SESSION },
        context({ sessions: { read } }),
      );
      expect(answer.summary.includes('A command is running.')).toBe(state === 'idle');
    },
  );

  it('only get_pod carries the details of a pod', async () => {
    const pod = aPod({
      stages: [{ stage: 'created', seconds: 0 }],
      measured: { vcpu: 2 },
      advertised: { vcpu: 2 },
      paths: [{ path: '/w', survivesStop: true, survivesDestroy: false }],
    });
    const base = context();
    const seen = context({
      pods: {
        create: async () => Promise.resolve({ status: 'ready', pod, attempts: [] }),
        get: async () => Promise.resolve({ pod, reached: true }),
        update: async () => Promise.resolve({ pod, stillCharged: 'x' }),
        list: async (...args) => ({ ...(await base.pods.list(...args)), pods: [pod] }),
      },
    });
    expect((await run('get_pod', { podId: POD }, seen))['pod']).toEqual(pod);
    for (const [name, args] of [
      ['create_pod', { offerId: OFFER }],
      ['update_pod', { podId: POD, action: 'stop' }],
      ['list_pods', {}],
    ] as const) {
      const answer = await run(name, args, seen);
      expect(JSON.stringify(answer), name).not.toMatch(/"(stages|measured|advertised|paths)"/);
    }
  });

  it.each([
    ['running', AT, 'ready'],
    ['running_unreachable', AT, 'unreachable'],
    ['running', '2025-12-31T23:00:00.000Z', 'unknown'],
  ] as const)(
    'list_pods: on a machine of the user a job that is %s is looked at',
    async (status, observedAt, podStatus) => {
      const lab = podIdSchema.parse('ssh:lab');
      const stale = aJob({ podId: lab, status: 'running' });
      const answer = await run(
        'list_pods',
        { provider: 'ssh' },
        context({
          clock: { now: () => new Date(AT) },
          pods: {
            list: async () =>
              Promise.resolve({ pods: [], providers: [], usdPerHour: 0, spentUsd: 0 }),
          },
          jobs: {
            list: async () => Promise.resolve([stale]),
            refresh: async () => Promise.resolve([{ ...stale, status, observedAt }]),
          },
        }),
      );
      expect(answer.pods).toMatchObject([
        { podId: lab, status: podStatus, jobs: [{ status, observedAt }] },
      ]);
    },
  );

  it('ssh_profile remove says what never came home', async () => {
    const removed = async (records: Awaited<ReturnType<ToolContext['artifacts']['list']>>) =>
      run(
        'ssh_profile',
        { action: 'remove', profileId: 'lab' },
        context({
          jobs: {
            list: async () => Promise.resolve([aJob({ podId: podIdSchema.parse('ssh:lab') })]),
          },
          artifacts: { list: async () => Promise.resolve(records) },
        }),
      );
    expect((await removed([])).summary).toContain('1 declared output of its jobs never came home');
  });

  it('a report that was asked for a job opens with the job', async () => {
    const job = { jobId: JOB, name: 'x', command: 'x', status: 'failed', exitCode: 3 } as const;
    const answer = await run(
      'report',
      { jobId: JOB },
      context({ reports: { report: async () => Promise.resolve(aReport({ jobs: [job] })) } }),
    );
    expect(answer.summary).toMatch(new RegExp(`^Job ${JOB} is failed with exit code 3\\. Pod `));
  });

  it('the time of a job that ended is over', async () => {
    const report = aJobReport({ status: 'completed', runtimeSeconds: 23 });
    const answer = await run(
      'job_wait',
      { jobId: JOB },
      context({ jobs: { wait: async () => Promise.resolve(report) } }),
    );
    expect(answer.summary).toBe(`Job ${JOB} is completed, it ran 23 s.`);
  });
});

it('doctor calls a cloud without a key off, not missing, and counts only what is wrong', async () => {
  const base = context();
  const found = await base.doctor.check({}, base);
  const check = async (missing: string[], reachable: boolean) =>
    run(
      'doctor',
      {},
      context({
        doctor: {
          check: async () =>
            Promise.resolve({
              ...found,
              sshKey: { path: '/k', exists: false },
              providers: [
                { provider: 'local', configured: true, reachable },
                { provider: 'vast', configured: false },
              ],
              missing: ['No SSH key yet', 'vast is off', ...missing],
              fixed: [],
            }),
        },
      }),
    );
  expect((await check([], true)).summary).toBe(
    'Usable: local. Off for want of an API key: vast. The first pod makes our SSH key. No problems.',
  );
  expect((await check(['local cannot be used'], false)).summary).toContain(
    '1 problem, see missing',
  );
});
