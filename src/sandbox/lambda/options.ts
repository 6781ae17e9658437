/** Where nobody knows what the real cloud does, a switch says which way the fake one goes. */
export interface LambdaOptions {
  readonly apiKey: string;
  /** Made-up dollars; with none left the account is inactive. */
  readonly creditUsd: number;
  /** One request a second and one launch in twelve are enforced. */
  readonly rateLimits: boolean;
  /** What a 429 says. */
  readonly rateLimitBody: 'empty' | 'html';
  /** Seconds from the launch to `active`; absent: by the number of GPUs. */
  readonly bootSeconds?: number | undefined;
  /** Seconds from `active` until SSH answers. */
  readonly sshSeconds: number;
  /** Seconds in `terminating`. */
  readonly terminateSeconds: number;
  /** Seconds for which lists still show what is `terminated`. */
  readonly listedSeconds: number;
  /** Whether a machine that boots can be terminated. */
  readonly terminateWhileBooting: boolean;
  /** How many machines the account may have at once. */
  readonly quota: number;
  /** Machines are told apart from those of other sandboxes by it. */
  readonly machinePrefix: string;
}

export const DEFAULT_OPTIONS: LambdaOptions = {
  apiKey: 'lambda-sandbox-key',
  creditUsd: 100,
  rateLimits: false,
  rateLimitBody: 'empty',
  sshSeconds: 15,
  terminateSeconds: 12,
  listedSeconds: 60,
  terminateWhileBooting: true,
  quota: 100,
  machinePrefix: 'lambda-',
};
