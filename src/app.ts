import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Config, OWN_NAMES } from './config.ts';
import { type Clock, systemClock } from './core/call.ts';
import { Disposer } from './core/disposer.ts';
import { podProgramEnvironment } from './core/embedded-pod.ts';
import { InputError } from './core/errors.ts';
import { providerOf } from './core/ids.ts';
import type { Machines, Secrets } from './core/machine.ts';
import { Redactor } from './core/redact.ts';
import type { Remote } from './core/remote.ts';
import type { Watcher } from './core/watcher.ts';
import { withCode } from './files/code.ts';
import { createFiles } from './files/files.ts';
import { createDoctor } from './health/doctor.ts';
import { createHealth } from './health/health.ts';
import { diagnoseJob } from './health/match.ts';
import { createDisks } from './jobs/disks.ts';
import { createJobs } from './jobs/jobs.ts';
import { createAccountBook } from './leases/account-book.ts';
import { createBootLogs } from './leases/boot-log.ts';
import { createHosts } from './leases/hosts.ts';
import { createLooks } from './leases/looks.ts';
import { createManagedMachines } from './leases/machines.ts';
import { createOffers } from './leases/offers.ts';
import { createPods } from './leases/pods.ts';
import { processIdOf } from './leases/process-id.ts';
import { createReports } from './leases/reports.ts';
import { createProviders } from './providers/index.ts';
import { createCloudPods } from './providers/ssh/cloud-pod.ts';
import { withPlatforms } from './providers/ssh/platforms/platform-pods.ts';
import { createPlatforms } from './providers/ssh/platforms/platforms.ts';
import { createProfiles } from './providers/ssh/profiles.ts';
import { createSshIdentity } from './sessions/identity.ts';
import { createProbe } from './sessions/probe.ts';
import { createSsh } from './sessions/ssh.ts';
import { createSqliteStore } from './store/sqlite.ts';
import type { Services } from './tools/tool.ts';
import { startThread } from './transfer/thread.ts';
import { createTransfers } from './transfer/transfers.ts';
import { fenceProviders, fenceStore } from './watcher/fence.ts';
import { withWatcher } from './watcher/renting.ts';
import { createWatching, keepRounds, rescueFiles } from './watching.ts';

/** Where the parts of the package lie. Known to the entry alone, since only it knows where it was bundled to. */
export interface ProgramFiles {
  readonly podProgram: readonly string[];
  readonly mainProgram: string;
  readonly skillsFolder: string;
  /** The program of the thread that moves files. Absent: they are moved by the main thread. */
  readonly transferWorker?: string | undefined;
  /** The watcher as a process of its own. Absent: this process starts none. */
  readonly watchCommand?: readonly string[] | undefined;
  readonly version?: string | undefined;
}

export interface App extends AsyncDisposable {
  readonly services: Services & { readonly watcher: Watcher };
  /** Mends what a crash left and enforces deadlines, again and again, until the app is disposed. */
  watch(onFailure: (error: unknown) => void): void;
}

/** The composition root: builds every part, opens nothing. Files, connections and pods are touched on first use. */
export function createApp(
  config: Config,
  files: ProgramFiles,
  redactor = new Redactor(),
  clock: Clock = systemClock,
): App {
  const disposer = new Disposer();
  redactor.add(config.http.token);
  redactor.add(config.vast?.apiKey);
  redactor.add(config.runpod?.apiKey);
  redactor.add(config.lambda?.apiKey);
  const { home, workspace, limits } = config;
  redactor.remember(path.join(home, 'secret-prints'));

  const stateFile = path.join(home, 'state.db');
  const state = disposer.use(createSqliteStore({ file: stateFile }));
  const watching = createWatching(state, config, files, clock);
  const store = fenceStore(state, watching.lock);
  const identity = createSshIdentity({ home, keyPath: config.sshKey });
  const clouds = createProviders({
    home,
    podProgram: files.podProgram,
    environment: podProgramEnvironment(config.ownEnvironment()),
    clock,
    vast: config.vast,
    runpod: config.runpod,
    lambda: config.lambda,
    // Looking at an account makes no key.
    ownPublicKey: async (options) =>
      existsSync(identity.keyPath) ? identity.publicKey(options) : undefined,
  });
  const providers = fenceProviders(clouds, watching.lock);
  const profiles = createProfiles({
    store,
    remote: () => remote,
    clock,
    home,
    identityKeyPath: identity.keyPath,
    project: workspace,
    cloudEndpoint: async (podId, options) => cloudPods.endpoint(podId, options),
  });
  const looks = createLooks({ providers, clock });
  const accounts = createAccountBook({ providers, clock });
  const managed = createManagedMachines({
    store,
    providers,
    identity,
    clock,
    looks,
    accounts,
  });
  const cloudPods = createCloudPods(providers, managed);
  const machines: Machines = {
    endpoint: async (podId, options) =>
      (providerOf(podId) === 'ssh' ? profiles : managed).endpoint(podId, options),
  };
  const ssh = disposer.use(
    createSsh({ machines, store, clock, home, redactor, agentSocket: config.sshAgent }),
  );
  const remote: Remote = {
    ...ssh.remote,
    async disconnect(podId) {
      await Promise.all([ssh.remote.disconnect(podId), transfers?.disconnect(podId)]);
    },
  };
  const { sessions } = ssh;

  const secrets: Secrets = {
    value(name) {
      if (OWN_NAMES.test(name))
        throw new InputError(
          'secret_refused',
          `${name} is a key of this server. It never leaves it.`,
          {
            hint: 'Name another variable.',
          },
        );
      const value = config.environmentValue(name);
      redactor.add(value);
      return value;
    },
    mask(part) {
      redactor.add(part);
    },
  };
  const platforms = createPlatforms({ store, remote, clock });
  const disks = createDisks({ platforms, providers, store });
  const jobs = createJobs({
    remote,
    store,
    clock,
    home,
    secrets,
    redactor,
    diagnose: diagnoseJob,
    disks,
  });
  const plainFiles = createFiles({ remote, store, jobs, clock, home, workspace });
  const { transferWorker } = files;
  const transfers =
    transferWorker === undefined
      ? undefined
      : disposer.use(
          createTransfers({
            start: () =>
              startThread(
                transferWorker,
                { home, workspace, stateFile, agentSocket: config.sshAgent },
                config.childEnvironment(),
              ),
            machines,
            jobs,
            gates: async (podId, options) => plainFiles.gates(podId, options),
          }),
        );
  const transfer = withCode(transfers ?? plainFiles, { store, clock, workspace });
  const redact = (text: string): string => redactor.redact(text);
  const { rescueFolder } = watching;
  const leased = createPods({
    store,
    providers,
    remote,
    sessions,
    jobs,
    files: transfer,
    identity,
    secrets,
    clock,
    limits,
    receiptsFolder: path.join(home, 'receipts'),
    processId: processIdOf(process.pid),
    probe: createProbe(),
    looks,
    accounts,
    redact,
    rescue: {
      folder: rescueFolder,
      files: rescueFiles(rescueFolder, () =>
        createFiles({ remote, store, jobs, clock, home, workspace: rescueFolder }),
      ),
    },
    ...watching.forLeases,
  });
  let onWatchFailure: (failure: unknown) => void = () => undefined;
  const watcher = watching.watcher(leased, (failure) => {
    onWatchFailure(failure);
  });
  const pods = withWatcher(withPlatforms(leased, platforms, profiles), watcher);
  const bootLogs = createBootLogs({ store, providers, clock, redact });
  const services = {
    watcher,
    offers: createOffers({ providers, clock, hosts: createHosts({ store, clock }), limits }),
    pods,
    sessions,
    jobs,
    files: transfer,
    profiles,
    health: createHealth({ remote, jobs, clock, bootLogs }),
    doctor: createDoctor({
      providers,
      identity,
      clock,
      home,
      workspace,
      notes: async () => watching.notes(watcher),
    }),
    reports: createReports({ store, pods, jobs, files: transfer, sessions, clock }),
    artifacts: store.artifacts,
    clock,
    providerNames: [...providers.keys()],
  };

  const stop = new AbortController();
  disposer.add(() => {
    stop.abort();
  });
  return {
    services,
    watch(onTrouble) {
      onWatchFailure = onTrouble;
      // It ends by the abort alone.
      keepRounds({ pods: leased, watcher, clock }, stop.signal, onTrouble).catch(() => undefined);
    },
    [Symbol.asyncDispose]: async () => disposer[Symbol.asyncDispose](),
  };
}
