/** One row of the README's configuration table. Every flag has a variable. */
export interface Setting {
  readonly variable: string;
  readonly flag?: string;
  readonly description: string;
  readonly default?: string;
}

export const SETTINGS = [
  {
    variable: 'GPU_LEASE_HOME',
    flag: '--home',
    description: 'State folder (leases, keys, transcripts, local pods). Made with mode 0700.',
    default:
      "the platform's data folder; one of its own while a cloud is a made-up one on this machine",
  },
  {
    variable: 'GPU_LEASE_WORKSPACE',
    flag: '--workspace',
    description: 'Local paths outside this folder are refused.',
    default: 'the working folder',
  },
  {
    variable: 'GPU_LEASE_SSH_KEY',
    flag: '--ssh-key',
    description: 'Private key to log in with. Its public half goes to the pods.',
    default: 'a key of our own, made on first use',
  },
  {
    variable: 'GPU_LEASE_MAX_USD_PER_HOUR',
    flag: '--max-usd-per-hour',
    description: 'Most dollars an hour over all pods together. No agent can lift it.',
  },
  {
    variable: 'GPU_LEASE_BUDGET_USD',
    flag: '--budget-usd',
    description:
      'Most money in all: spent and reserved, over all clouds and server processes. As good as spent, pods are announced to end 120 s later and their declared files come home first; so with the two below.',
  },
  {
    variable: 'GPU_LEASE_BUDGET_DAY_USD',
    flag: '--budget-day-usd',
    description:
      'Most money in one UTC day: spent and reserved. A pod over midnight counts in both days.',
  },
  {
    variable: 'GPU_LEASE_BUDGET_POD_USD',
    flag: '--budget-pod-usd',
    description: 'Most money for one pod: spent and reserved, failed ones before it included.',
  },
  {
    variable: 'GPU_LEASE_MAX_PODS',
    flag: '--max-pods',
    description: 'Most pods alive at once, stopped ones included.',
  },
  {
    variable: 'GPU_LEASE_IDLE_MINUTES',
    flag: '--idle-minutes',
    description:
      'A pod with a price that did nothing for so long (no job, no command in a session, no transfer, GPUs below 5 % where the pod can tell) is announced, 120 s (or the limit, if shorter) before its end; then its declared files are brought home and it is stopped or destroyed as its onExpiry says. What cannot be read ends nothing.',
    default: 'none is ended; 15 idle minutes are mentioned',
  },
  {
    variable: 'GPU_LEASE_AUTO_APPROVE_USD',
    flag: '--auto-approve-usd',
    description: 'A lease whose total (price × time limit) is at most this needs no confirmation.',
    default: '0',
  },
  {
    variable: 'GPU_LEASE_WATCHER',
    description:
      'off: no watcher is started. It is a small process of its own that keeps deadlines and budgets of pods that cost money, also when no server runs, and ends with the last of them.',
    default: 'on',
  },
  {
    variable: 'GPU_LEASE_PROGRESS_FILE',
    flag: '--progress-file',
    description: 'One JSON line per progress event goes here. OPENCOLAB_PROGRESS_FILE works too.',
  },
  {
    variable: 'GPU_LEASE_LOG_LEVEL',
    flag: '--log-level',
    description: 'trace, debug, info, warn, error or silent. Logs go to stderr.',
    default: 'warn',
  },
  {
    variable: 'VAST_API_KEY',
    description:
      'Key of a Vast.ai account: turns that cloud on. There is no flag: arguments can be read by others.',
  },
  {
    variable: 'VAST_URL',
    flag: '--vast-url',
    description: 'Where Vast.ai answers. `gpu-lease sandbox` prints the one of its own.',
    default: 'https://console.vast.ai',
  },
  {
    variable: 'RUNPOD_API_KEY',
    description:
      'Key of a RunPod account: turns that cloud on. There is no flag: arguments can be read by others.',
  },
  {
    variable: 'RUNPOD_GRAPHQL_URL',
    flag: '--runpod-graphql-url',
    description: 'Where the GraphQL interface of RunPod answers.',
    default: 'https://api.runpod.io/graphql',
  },
  {
    variable: 'RUNPOD_REST_V2_API_URL',
    flag: '--runpod-rest-v2-api-url',
    description: 'Where its REST v2 answers: logs, SSH keys, volumes, registries.',
    default: 'https://api.runpod.io/v2',
  },
  {
    variable: 'RUNPOD_REST_API_URL',
    flag: '--runpod-rest-api-url',
    description: 'Where its retired REST v1 answers. Unset: it is never asked.',
  },
  {
    variable: 'RUNPOD_TEMPLATE_ID',
    flag: '--runpod-template-id',
    description: 'Template for RunPod pods without image, template and workload.',
    default: 'runpod-torch-v280',
  },
  {
    variable: 'RUNPOD_NO_GATEWAY',
    flag: '--runpod-no-gateway',
    description: '1: ssh.runpod.io, which carries a shell only, is never tried.',
    default: '0',
  },
  {
    variable: 'RUNPOD_DIRECT_SSH_USER',
    flag: '--runpod-direct-ssh-user',
    description: 'The login on RunPod pods. Unset: root, and once unsloth when root is denied.',
  },
  {
    variable: 'LAMBDA_API_KEY',
    description:
      'Key of a Lambda Cloud account: turns that cloud on. There is no flag: arguments can be read by others.',
  },
  {
    variable: 'LAMBDA_API_URL',
    flag: '--lambda-api-url',
    description: 'Where Lambda Cloud answers. `gpu-lease sandbox` prints the one of its own.',
    default: 'https://cloud.lambda.ai',
  },
  {
    variable: 'GPU_LEASE_HTTP_PORT',
    flag: '--port',
    description: '`gpu-lease http`: port to listen on.',
    default: '7433',
  },
  {
    variable: 'GPU_LEASE_HTTP_HOST',
    flag: '--host',
    description: '`gpu-lease http`: address to listen on. Others than loopback need allowed hosts.',
    default: '127.0.0.1',
  },
  {
    variable: 'GPU_LEASE_HTTP_TOKEN',
    description:
      '`gpu-lease http`: the bearer token. There is no flag: arguments can be read by others.',
    default: 'a random one, kept in the state folder',
  },
  {
    variable: 'GPU_LEASE_HTTP_ALLOWED_HOSTS',
    flag: '--allowed-hosts',
    description: '`gpu-lease http`: host names accepted besides localhost, comma separated.',
  },
] as const satisfies readonly Setting[];
