import { homedir, platform } from 'node:os';
import path from 'node:path';
import { configSchema } from './config-schema.ts';
import { ConfigError } from './core/errors.ts';
import { isLoopback } from './core/loopback.ts';
import { SETTINGS } from './settings.ts';

/** Limits that only the person sets. Absent: no limit. */
export interface Limits {
  readonly maxUsdPerHour?: number | undefined;
  readonly budgetUsd?: number | undefined;
  readonly budgetDayUsd?: number | undefined;
  readonly budgetPodUsd?: number | undefined;
  readonly maxPods?: number | undefined;
  readonly idleMinutes?: number | undefined;
  readonly autoApproveUsd: number;
}

/** How one cloud is reached. */
export interface CloudAccess {
  readonly apiKey: string;
  /** An origin, without a path. */
  readonly baseUrl: string;
}

export interface RunpodAccess {
  readonly apiKey: string;
  readonly graphqlUrl: string;
  readonly restUrl: string;
  /** Absent: REST v1 is never asked. */
  readonly oldRestUrl?: string | undefined;
  readonly defaultTemplate?: string | undefined;
  readonly hasGateway: boolean;
  readonly sshUser?: string | undefined;
}

export interface Config {
  readonly home: string;
  readonly workspace: string;
  readonly sshKey?: string | undefined;
  /** Socket of the person's SSH agent. */
  readonly sshAgent?: string | undefined;
  readonly limits: Limits;
  /** Absent: Vast.ai is off. */
  readonly vast?: CloudAccess | undefined;
  /** Absent: RunPod is off. */
  readonly runpod?: RunpodAccess | undefined;
  /** Absent: Lambda is off. */
  readonly lambda?: CloudAccess | undefined;
  readonly progressFile?: string | undefined;
  readonly logLevel: string;
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly token?: string | undefined;
    readonly allowedHosts: readonly string[];
  };
  readonly colour: boolean;
  /** A watcher of its own may be started. */
  readonly hasWatcher: boolean;
  /** What a process of ours with the same settings is started with: this environment, flags put in. */
  readonly ownEnvironment: () => Readonly<Record<string, string>>;
  /** The server's environment without keys and settings of ours: for what must find the person's programs and agents. */
  readonly childEnvironment: () => Readonly<Record<string, string>>;
  /** A value of the server's environment, for `secretEnv`. */
  readonly environmentValue: (name: string) => string | undefined;
}

/** Our settings, and the keys of clouds: they go to no pod and to no helper of ours. */
export const OWN_NAMES = /^(?:GPU_LEASE_|VAST_API_KEY$|RUNPOD_API_KEY$|LAMBDA_API_KEY$)/;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads environment and flags once (a flag beats its variable; an empty value counts as unset).
 * Throws `config_missing` that names the variable and says what was expected.
 */
export function readConfig(
  environment: Environment = process.env,
  flags: Readonly<Record<string, string | undefined>> = {},
): Config {
  const wanted = Object.fromEntries(
    SETTINGS.map((setting) => {
      const flag = 'flag' in setting ? flags[setting.flag.slice(2)] : undefined;
      return [setting.variable, given(flag ?? environment[setting.variable])];
    }),
  );
  wanted['GPU_LEASE_PROGRESS_FILE'] ??= given(environment['OPENCOLAB_PROGRESS_FILE']);
  const parsed = configSchema.safeParse(wanted);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(
      'config_missing',
      `${String(issue?.path[0] ?? 'The configuration')}: ${issue?.message ?? 'cannot be read'}.`,
      { hint: 'Correct this variable (or its flag), then start again.' },
    );
  }
  const values = parsed.data;
  const copy: Environment = { ...environment };
  const isRehearsal = [values.VAST_URL, values.RUNPOD_GRAPHQL_URL, values.LAMBDA_API_URL].some(
    isLoopback,
  );
  const home = absolute(
    'GPU_LEASE_HOME',
    values.GPU_LEASE_HOME ??
      path.join(dataFolder(environment), isRehearsal ? REHEARSAL : 'gpu-lease'),
  );
  const own: Environment = { ...copy, ...wanted, GPU_LEASE_HOME: home };
  return Object.freeze({
    home,
    workspace: path.resolve(expandHome(values.GPU_LEASE_WORKSPACE ?? '.')),
    sshKey: values.GPU_LEASE_SSH_KEY && path.resolve(expandHome(values.GPU_LEASE_SSH_KEY)),
    sshAgent: environment['SSH_AUTH_SOCK'],
    limits: {
      maxUsdPerHour: values.GPU_LEASE_MAX_USD_PER_HOUR,
      budgetUsd: values.GPU_LEASE_BUDGET_USD,
      budgetDayUsd: values.GPU_LEASE_BUDGET_DAY_USD,
      budgetPodUsd: values.GPU_LEASE_BUDGET_POD_USD,
      maxPods: values.GPU_LEASE_MAX_PODS,
      idleMinutes: values.GPU_LEASE_IDLE_MINUTES,
      autoApproveUsd: values.GPU_LEASE_AUTO_APPROVE_USD,
    },
    vast: accessOf(values.VAST_API_KEY, values.VAST_URL),
    lambda: accessOf(values.LAMBDA_API_KEY, values.LAMBDA_API_URL),
    runpod:
      values.RUNPOD_API_KEY === undefined
        ? undefined
        : {
            apiKey: values.RUNPOD_API_KEY,
            graphqlUrl: values.RUNPOD_GRAPHQL_URL,
            restUrl: values.RUNPOD_REST_V2_API_URL,
            oldRestUrl: values.RUNPOD_REST_API_URL,
            defaultTemplate: values.RUNPOD_TEMPLATE_ID,
            hasGateway: !values.RUNPOD_NO_GATEWAY,
            sshUser: values.RUNPOD_DIRECT_SSH_USER,
          },
    progressFile: values.GPU_LEASE_PROGRESS_FILE && expandHome(values.GPU_LEASE_PROGRESS_FILE),
    logLevel: values.GPU_LEASE_LOG_LEVEL,
    http: {
      host: values.GPU_LEASE_HTTP_HOST,
      port: values.GPU_LEASE_HTTP_PORT,
      token: values.GPU_LEASE_HTTP_TOKEN,
      allowedHosts: values.GPU_LEASE_HTTP_ALLOWED_HOSTS.split(',').filter((host) => host !== ''),
    },
    colour: environment['NO_COLOR'] === undefined,
    // Values of the person stay behind functions: a configuration that is printed shows none.
    childEnvironment: () =>
      Object.fromEntries(
        Object.entries(copy).flatMap(([name, value]) =>
          value === undefined || OWN_NAMES.test(name) ? [] : [[name, value]],
        ),
      ),
    environmentValue: (name: string) => copy[name],
    hasWatcher: values.GPU_LEASE_WATCHER,
    ownEnvironment: () =>
      Object.fromEntries(
        Object.entries(own).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, value]],
        ),
      ),
  });
}

function accessOf(apiKey: string | undefined, baseUrl: string): CloudAccess | undefined {
  return apiKey === undefined ? undefined : { apiKey, baseUrl };
}

/** An empty value counts as unset. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** Settings files of clients hold plain text: nobody expands `~` before us. */
function expandHome(value: string): string {
  return value === '~' || value.startsWith('~/') ? path.join(homedir(), value.slice(1)) : value;
}

/** State must not depend on the folder a client happens to start us in. */
function absolute(variable: string, value: string): string {
  const expanded = expandHome(value);
  if (path.isAbsolute(expanded)) return path.resolve(expanded);
  throw new ConfigError('config_missing', `${variable} must be an absolute path.`, {
    hint: `Set ${variable} to a path that starts with "/" or "~/".`,
  });
}

/**
 * A real pod that is looked for in a made-up cloud is not there, and would be called gone while it is charged: so what is
 * rented there has a folder of its own.
 */
const REHEARSAL = 'gpu-lease-rehearsal';

function dataFolder(environment: Environment): string {
  const system = platform();
  if (system === 'darwin') return path.join(homedir(), 'Library', 'Application Support');
  if (system === 'win32') return environment['LOCALAPPDATA'] ?? homedir();
  return environment['XDG_DATA_HOME'] ?? path.join(homedir(), '.local', 'share');
}
