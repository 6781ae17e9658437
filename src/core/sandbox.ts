import { z } from 'zod';

/*
 * The sandbox: fake clouds on loopback whose machines are embedded pods. What a person and a test can see of it and do
 * to it. Times are seconds since the epoch on the sandbox's own clock.
 */

/** A fault that a cloud knows how to have. */
export interface FaultKind {
  readonly kind: string;
  /** One sentence for people: what goes wrong. */
  readonly summary: string;
  /** Whether random mode may use it. */
  readonly chaos?: boolean;
  /** What the `value` of a rule is; absent: it has none. */
  readonly size?: 'number' | 'name';
}

export const faultRuleSchema = z.strictObject({
  kind: z.string().min(1).max(80),
  /** Absent: every cloud. */
  cloud: z.string().min(1).max(40).exactOptional(),
  offerId: z.coerce.string().min(1).max(100).exactOptional(),
  machineId: z.coerce.string().min(1).max(100).exactOptional(),
  /** "PUT /api/v0/asks" or a part of it. */
  route: z.string().min(1).max(200).exactOptional(),
  /** How often it strikes. Absent: again and again. */
  times: z.int().positive().exactOptional(),
  /** How many chances it lets pass first. */
  skip: z.int().nonnegative().exactOptional(),
  /** With a route: from now. Else it is for the cloud: how old the instance is when it strikes. */
  afterSeconds: z.number().nonnegative().exactOptional(),
  /** For kinds that have a size: seconds, a factor, a status. */
  value: z.union([z.number(), z.string()]).exactOptional(),
});
export type FaultRule = Readonly<z.output<typeof faultRuleSchema>>;

/** One line of a cloud's books: an instance or a volume, living or long gone. */
export interface BookedInstance {
  readonly id: string;
  readonly kind?: 'instance' | 'volume';
  readonly label?: string | undefined;
  readonly offerId?: string | undefined;
  readonly machineId?: string | undefined;
  readonly gpu?: string | undefined;
  /** In the cloud's own words; "destroyed" when it is gone. */
  readonly state: string;
  /** Whether anything is charged for it now. */
  readonly billing: boolean;
  /** What is charged now. */
  readonly usdPerHour: number;
  readonly spentUsd: number;
  readonly billedSeconds: number;
  readonly createdAtSeconds: number;
  readonly endedAtSeconds?: number | undefined;
}

export interface CloudBooks {
  readonly cloud: string;
  readonly instances: readonly BookedInstance[];
  readonly usdPerHour: number;
  readonly spentUsd: number;
  readonly creditUsd: number;
  readonly billingCount: number;
}
export interface SandboxBooks {
  readonly nowSeconds: number;
  readonly speed: number;
  readonly clouds: readonly CloudBooks[];
}

/** One request that a fake cloud got. Secrets are masked. */
export interface SeenRequest {
  readonly at: number;
  readonly cloud: string;
  readonly method: string;
  readonly path: string;
  /** Absent: the answer never came, on purpose. */
  readonly status?: number | undefined;
  readonly fault?: string | undefined;
  readonly body?: unknown;
}

export interface SandboxOptions {
  /** How much faster its time passes; 0: it stands still until it is turned. Default 1. */
  readonly speed?: number | undefined;
  /** The same seed makes the same offers. */
  readonly seed?: number | undefined;
  /** Ids and keys are drawn from it. Default: the seed, so that tests see the same ones again. */
  readonly draw?: number | undefined;
  readonly offers?: number | undefined;
  /** Of the first cloud; 0: any free one, which is the default. */
  readonly port?: number | undefined;
  readonly faults?: readonly FaultRule[] | undefined;
  /** How likely a fault strikes by itself at each chance: 0 to 1. */
  readonly chaos?: number | undefined;
  readonly apiKey?: string | undefined;
  readonly creditUsd?: number | undefined;
  /** `none`: machines that run at once and have nobody behind their port. Default `pods`. */
  readonly machines?: 'pods' | 'none' | undefined;
  /** How long machines outlive a sandbox that was killed; real seconds. */
  readonly machineSeconds?: number | undefined;
  /** Told of every request as it was answered. */
  readonly onRequest?: ((request: SeenRequest) => void) | undefined;
  /** Told of failures of the sandbox itself, which are none of its faults. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
}

export interface SandboxOrigin {
  readonly cloud: string;
  readonly url: string;
  /** What to export so that a client comes here. */
  readonly variables: Readonly<Record<string, string>>;
}
/** Fake clouds that run. Dispose is `end`. */
export interface Sandbox extends AsyncDisposable {
  readonly origins: readonly SandboxOrigin[];
  readonly folder: string;
  /** Machines that a sandbox which died had left, and that were ended at the start. */
  readonly swept: number;
  books(): SandboxBooks;
  requests(count?: number): readonly SeenRequest[];
  /** Throws `invalid_input` for a kind that no cloud knows. */
  addFault(rule: FaultRule): void;
  /** Turns the clock forward. Seconds of the sandbox. */
  advance(seconds: number): Promise<void>;
  /** Ends every machine and stops serving. Answers how many machines it destroyed. */
  end(): Promise<number>;
}
/** The sandbox before it is started. */
export interface SandboxProgram {
  readonly faultKinds: readonly (FaultKind & { readonly cloud: string })[];
  /** Throws `config_missing` for a port that is taken. */
  open(options: SandboxOptions): Promise<Sandbox>;
}
