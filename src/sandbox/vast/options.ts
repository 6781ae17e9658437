/** Where sources disagree about the real cloud, a switch says which way the fake one goes. */
export interface VastOptions {
  /** The key that may do everything. */
  readonly apiKey: string;
  /** Dollars on the account at first. */
  readonly creditUsd: number;
  /** What a wrong key is answered: 404 was seen live, 401 is documented. */
  readonly badKeyStatus: 404 | 401;
  /** What a create on a rented offer is answered: 400 was seen live, 404 is documented. */
  readonly takenStatus: 400 | 404;
  /** `error` of a destroy of an unknown instance. */
  readonly destroyUnknownError: 'not_found' | 'no_such_instance';
  /** An account without SSH keys: `[]`, or 404. */
  readonly noKeysStatus: 200 | 404;
  /** The most offers that one search answers. */
  readonly searchCap: number;
  /** Whether a search that says nothing about `verified` gets verified offers only. */
  readonly verifiedByDefault: boolean;
  /** A filter on cuda_max_good without one on compute_cap drops the newest GPUs. */
  readonly cudaFilterDropsGpus: boolean;
  /** Whether `type: "bid"` rows are priced at the lowest bid. */
  readonly bidRowsAtMinBid: boolean;
  /** `intended_status` of an instance that was outbid. */
  readonly outbidIntent: 'running' | 'stopped';
  /** Minimum intervals between calls are enforced. */
  readonly rateLimits: boolean;
  /** Answer of those limits. */
  readonly rateLimitBody: 'text' | 'json';
  /** How often a log file is answered 403 before it is there. */
  readonly logPolls: number;
  /** Seconds from create to running; absent: from the size of the image and the speed of the host. */
  readonly bootSeconds?: number | undefined;
  /** Seconds from running until SSH answers. */
  readonly sshSeconds: number;
  /** Seconds until a key that was attached is accepted. */
  readonly keySeconds: number;
  /** Seconds until a volume is free after its instance is gone. */
  readonly volumeFreeSeconds: number;
  /** Whether bytes over SSH are charged at the host's prices, when their connection ends. */
  readonly billTraffic: boolean;
  /** Machines are told apart from those of other sandboxes by it. */
  readonly machinePrefix: string;
}

export const DEFAULT_OPTIONS: VastOptions = {
  apiKey: 'vast-sandbox-key',
  creditUsd: 100,
  badKeyStatus: 404,
  takenStatus: 400,
  destroyUnknownError: 'not_found',
  noKeysStatus: 200,
  searchCap: 64,
  verifiedByDefault: false,
  cudaFilterDropsGpus: false,
  bidRowsAtMinBid: true,
  outbidIntent: 'stopped',
  rateLimits: false,
  rateLimitBody: 'text',
  logPolls: 2,
  sshSeconds: 4,
  keySeconds: 2,
  volumeFreeSeconds: 30,
  billTraffic: true,
  machinePrefix: 'vast-',
};
