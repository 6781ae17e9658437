import { systemClock } from '../../src/core/call.ts';
import {
  jobIdSchema,
  offerIdSchema,
  podIdSchema,
  profileIdSchema,
  quoteIdSchema,
  sessionIdSchema,
} from '../../src/core/ids.ts';
import type { Job, JobReport } from '../../src/core/job.ts';
import type { Quote, Receipt } from '../../src/core/lease.ts';
import type { Offer } from '../../src/core/offer.ts';
import type { Pod } from '../../src/core/pods.ts';
import type { Profile } from '../../src/core/profile.ts';
import type { Report } from '../../src/core/report.ts';
import type { SessionRecord } from '../../src/core/session.ts';
import type { Services, ToolContext } from '../../src/tools/tool.ts';

export const POD = podIdSchema.parse('vast:123');
export const OFFER = offerIdSchema.parse('vast:812');
export const JOB = jobIdSchema.parse('job_aaaabbbbcccc');
export const SESSION = sessionIdSchema.parse('ses_aaaabbbbcccc');
export const QUOTE = quoteIdSchema.parse('quo_aaaabbbbcccc');
export const PROFILE = profileIdSchema.parse('lab');
export const AT = '2026-01-01T00:00:00.000Z';
export const RECEIPT: Receipt = {
  podId: POD,
  name: 'train',
  provider: 'vast',
  usdPerHour: 0.35,
  createdAt: AT,
  endedAt: AT,
  runtimeSeconds: 60,
  estimatedUsd: 0.1,
  artifacts: [],
  proof: { how: 'Not in the list.', readAt: AT },
};

export const anOffer = (changes: Partial<Offer> = {}): Offer => ({
  offerId: OFFER,
  provider: 'vast',
  gpu: 'RTX 4090',
  gpuCount: 1,
  vramGb: 24,
  vcpu: 16,
  ramGb: 64,
  diskGb: 200,
  region: 'SE',
  pricing: 'on_demand',
  usdPerHour: 0.35,
  reliability: 0.99,
  ...changes,
});
export const aPod = (changes: Partial<Pod> = {}): Pod => ({
  podId: POD,
  name: 'train',
  provider: 'vast',
  mode: 'managed',
  status: 'ready',
  gpu: 'RTX 4090',
  gpuCount: 1,
  usdPerHour: 0.35,
  spentUsd: 0.12,
  deadlineAt: '2026-01-01T06:00:00.000Z',
  ...changes,
});
export const aJob = (changes: Partial<Job> = {}): Job => ({
  jobId: JOB,
  podId: POD,
  name: 'train',
  command: 'python train.py',
  cwd: '/workspace',
  folder: '/root/.gpu-lease/jobs/job_aaaabbbbcccc',
  status: 'running',
  artifacts: ['out/*.safetensors'],
  maxRuntimeMinutes: 360,
  createdAt: AT,
  envNames: [],
  ...changes,
});
export const aSession = (changes: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId: SESSION,
  podId: POD,
  cwd: '/workspace',
  folder: '/root/.gpu-lease/sessions/x',
  terminal: 'pty',
  state: 'idle',
  openedAt: AT,
  ...changes,
});
export const aProfile = (changes: Partial<Profile> = {}): Profile => ({
  profileId: PROFILE,
  host: '10.0.0.5',
  port: 22,
  user: 'me',
  isDefault: true,
  ...changes,
});
export const aJobReport = (changes: Partial<JobReport> = {}): JobReport => ({
  jobId: JOB,
  podId: POD,
  status: 'running',
  work: { state: 'working', evidence: ['new output 2 s ago'] },
  output: 'step 1\n',
  offset: 0,
  nextOffset: 7,
  hasMore: false,
  ...changes,
});
export const aReport = (changes: Partial<Report> = {}): Report => ({
  podId: POD,
  mode: 'managed',
  status: 'gone',
  gpu: 'RTX 4090',
  usdPerHour: 0.35,
  runtimeSeconds: 3600,
  costUsd: 0.35,
  success: { command: 'yes', artifacts: 'yes', scientific: 'unknown' },
  jobs: [],
  filesHome: [],
  filesMissing: [],
  sessions: [],
  errors: [],
  notTracked: [],
  destroyed: { how: 'not in the list any more', readAt: AT },
  nextStep: 'Nothing is left to do.',
  ...changes,
});

export const aQuote = (): Quote => ({
  quoteId: QUOTE,
  terms: {
    offerIds: [OFFER],
    diskGb: 64,
    env: {},
    secretEnv: [],
    ports: [],
    ttlMinutes: 360,
    onExpiry: 'destroy' as const,
    maxAttempts: 3,
  },
  usdPerHour: 0.35,
  maxUsd: 2.1,
  offers: [anOffer()],
  createdAt: AT,
  expiresAt: '2026-01-01T00:05:00.000Z',
});

export type Overrides = {
  readonly [Name in keyof Services]?: Partial<Services[Name]>;
};

/** Ports that answer plausibly and at once. Each method can be replaced. */
export function fakeServices(overrides: Overrides = {}): Services {
  const page = { output: 'hello\n', offset: 0, nextOffset: 6, hasMore: false };
  return {
    offers: {
      find: async () =>
        Promise.resolve({
          offers: [anOffer()],
          applied: { gpuCount: 1, minVramGb: 24, regions: [] },
          relaxations: [],
          providers: [{ provider: 'vast', ok: true }],
          snapshotAt: AT,
        }),
      ...overrides.offers,
    },
    pods: {
      create: async () => Promise.resolve({ status: 'ready', pod: aPod(), attempts: [] }),
      get: async () => Promise.resolve({ pod: aPod(), reached: true }),
      list: async () =>
        Promise.resolve({
          pods: [aPod()],
          providers: [{ provider: 'vast', ok: true, balanceUsd: 10 }],
          usdPerHour: 0.35,
          spentUsd: 0.12,
        }),
      update: async () => Promise.resolve({ pod: aPod(), stillCharged: 'Everything.' }),
      destroy: async () => Promise.resolve({ outcome: 'gone' }),
      receipt: async () => Promise.resolve(undefined),
      reconcile: async () => Promise.resolve(undefined),
      enforce: async () => Promise.resolve([]),
      ...overrides.pods,
    },
    sessions: {
      open: async (podId) =>
        Promise.resolve({
          sessionId: SESSION,
          podId,
          state: 'idle',
          cwd: '/workspace',
          terminal: 'pty',
          reused: false,
          nextOffset: 0,
        }),
      write: async (sessionId) =>
        Promise.resolve({
          sessionId,
          state: 'idle',
          typedTo: 'shell',
          commandId: 'c1',
          done: true,
          exitCode: 0,
          ...page,
        }),
      read: async (sessionId) =>
        Promise.resolve({ sessionId, state: 'idle', ...page, commands: [] }),
      close: async (sessionId) =>
        Promise.resolve({ sessionId, state: 'closed', processesGone: 'yes' }),
      list: async () => Promise.resolve([aSession()]),
      look: async () => Promise.resolve([aSession()]),
      closePod: async () => Promise.resolve(undefined),
      [Symbol.asyncDispose]: async () => Promise.resolve(undefined),
      ...overrides.sessions,
    },
    jobs: {
      start: async () => Promise.resolve({ job: aJob(), firstLines: 'starting\n' }),
      wait: async () => Promise.resolve(aJobReport()),
      logs: async () => Promise.resolve({ ...page, status: 'running' }),
      cancel: async () =>
        Promise.resolve({ job: aJob({ status: 'cancelled' }), processesGone: 'yes' }),
      get: async () => Promise.resolve(aJob()),
      list: async (podId) => Promise.resolve(podId === undefined || podId === POD ? [aJob()] : []),
      refresh: async () => Promise.resolve([aJob()]),
      collectLogs: async () => Promise.resolve(undefined),
      ...overrides.jobs,
    },
    files: {
      sync: async ({ podId, remotePath, dryRun }) =>
        Promise.resolve({
          podId,
          remotePath,
          sent: { files: 2, bytes: 2048 },
          unchanged: { files: 1, bytes: 10 },
          deleted: [],
          skipped: [{ path: '.env', why: 'looks like a secret' }],
          skippedCount: 1,
          wireBytes: 900,
          seconds: 0.4,
          verified: true,
          dryRun,
        }),
      fetch: async ({ podId, dryRun }) =>
        Promise.resolve({
          podId,
          jobId: JOB,
          manifest: {
            root: '/workspace',
            files: [
              {
                path: 'out/a.safetensors',
                localPath: '/home/me/out/a.safetensors',
                bytes: 4096,
                sha256: 'ab'.repeat(32),
                proof: 'loaded',
              },
            ],
            totalFiles: 1,
            totalBytes: 4096,
          },
          missing: [],
          leftOnPod: [],
          left: 0,
          dryRun,
        }),
      gates: async () => Promise.resolve([]),
      ...overrides.files,
    },
    profiles: {
      save: async (profileId) => Promise.resolve(aProfile({ profileId })),
      test: async () =>
        Promise.resolve({
          profile: aProfile(),
          status: 'ready',
          refreshed: false,
          details: ['ssh: ok'],
        }),
      list: async () => Promise.resolve([aProfile()]),
      get: async () => Promise.resolve(aProfile()),
      remove: async () => Promise.resolve(undefined),
      setDefault: async () => Promise.resolve(aProfile()),
      ...overrides.profiles,
    },
    health: {
      diagnose: async () => Promise.resolve({ verdict: 'ok', facts: { gpus: 1 }, findings: [] }),
      ...overrides.health,
    },
    doctor: {
      check: async () =>
        Promise.resolve({
          providers: [
            { provider: 'local', configured: true, reachable: true },
            { provider: 'vast', configured: false },
          ],
          sshKey: { path: '/home/me/.key', exists: true, fingerprint: 'SHA256:x' },
          tools: { ssh: true },
          home: '/home/me',
          workspace: '/home/me/code',
          missing: [],
          fixed: [],
        }),
      ...overrides.doctor,
    },
    reports: { report: async () => Promise.resolve(aReport()), ...overrides.reports },
    artifacts: { list: async () => Promise.resolve([]), ...overrides.artifacts },
    clock: { ...systemClock, ...overrides.clock },
    providerNames: ['local', 'vast'],
  };
}

/** What a tool's `handle` gets, for tests without a protocol. */
export function fakeContext(
  overrides: Overrides = {},
  call: Partial<ToolContext> = {},
): ToolContext {
  return {
    ...fakeServices(overrides),
    signal: new AbortController().signal,
    progress: () => undefined,
    ask: async () => Promise.resolve('unavailable'),
    ...call,
  };
}
