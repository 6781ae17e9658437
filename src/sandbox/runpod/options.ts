/** Where sources disagree about the real cloud, a switch says which way the fake one goes. */
export interface RunpodOptions {
  /** The key that may do everything. */
  readonly apiKey: string;
  /** Dollars on the account at first. */
  readonly creditUsd: number;
  /** Each API may be withdrawn as a whole: 410, or 404 as if it had never been. */
  readonly graphql: ApiState;
  readonly restV1: ApiState;
  readonly restV2: ApiState;
  /** Whether a pod's own key works in REST. It always reads and ends its own pod in GraphQL. */
  readonly podKeyRest: boolean;
  /** Whether `stopAfter` and `terminateAfter` have an effect. */
  readonly honoursDeadlines: boolean;
  /** A v2 create without `gpu.count` matches nothing. */
  readonly countNeeded: boolean;
  /** A GraphQL create with a template and without `containerDiskInGb` fails. */
  readonly diskNeededWithTemplate: boolean;
  /** Lists of v2 have a `pagination` block and take `limit` and `cursor`. */
  readonly pages: boolean;
  /** Calls that v2 allows in a minute, an hour and a day. */
  readonly ratePolicy: { readonly minute: number; readonly hour: number; readonly day: number };
  /** Whether v2 refuses more than that; the headers tell it in any case. */
  readonly rateLimits: boolean;
  /** Whether variables that the cloud adds are told in `env`. */
  readonly showsInjectedEnv: boolean;
  /** Seconds from create to a container; absent: from the size of the image. */
  readonly bootSeconds?: number | undefined;
  /** Seconds from the container to its first ports, and from those to the public ones. */
  readonly portSeconds: number;
  /** Seconds from the container until SSH answers. */
  readonly sshSeconds: number;
  /** How long the runtime of a stopped pod is still told. */
  readonly staleSeconds: number;
  /** An SSH server only runs where the image or its start command starts one. */
  readonly sshdNeedsStart: boolean;
  /** How long a template is in use after its last pod. */
  readonly templateUseSeconds: number;
  /** Machines are told apart from those of other sandboxes by it. */
  readonly machinePrefix: string;
}
export type ApiState = 'on' | 'gone' | 'missing';

export const DEFAULT_OPTIONS: RunpodOptions = {
  apiKey: 'rpa_SANDBOX0000000000000000000000000000000000',
  creditUsd: 100,
  graphql: 'on',
  restV1: 'on',
  restV2: 'on',
  podKeyRest: false,
  honoursDeadlines: true,
  countNeeded: true,
  diskNeededWithTemplate: true,
  pages: true,
  ratePolicy: { minute: 60, hour: 3_000, day: 50_000 },
  rateLimits: false,
  showsInjectedEnv: true,
  portSeconds: 3,
  sshSeconds: 5,
  staleSeconds: 8,
  sshdNeedsStart: true,
  templateUseSeconds: 120,
  machinePrefix: 'runpod-',
};
