import type { CallOptions } from './call.ts';
import type { JobId, PodId, ProviderName } from './ids.ts';
import type { Finding } from './job.ts';

export interface Health {
  diagnose(
    target: {
      readonly podId?: PodId | undefined;
      readonly jobId?: JobId | undefined;
      readonly text?: string | undefined;
    },
    options: CallOptions,
  ): Promise<{
    readonly verdict: 'ok' | 'warn' | 'rerent' | 'unknown';
    readonly facts: Readonly<Record<string, string | number>>;
    readonly findings: readonly Finding[];
    /** The last lines that the pod printed while it booted (foreign text), where there are any. */
    readonly bootLog?: string | undefined;
  }>;
}

/** What a pod printed while it booted: kept from a boot that failed, else asked of its cloud. */
export interface BootLogs {
  /** Foreign text; `undefined`: there is none. */
  tail(podId: PodId, options: CallOptions): Promise<string | undefined>;
}

export interface DoctorProvider {
  readonly provider: ProviderName;
  readonly configured: boolean;
  readonly keySource?: string | undefined;
  readonly reachable?: boolean | undefined;
  readonly balanceUsd?: number | undefined;
  /** What everything on the account costs now, rented by us or not. */
  readonly usdPerHour?: number | undefined;
  /** How long the balance lasts at that. Absent: nothing is charged, or it is not known (KE-02). */
  readonly hoursLeft?: number | undefined;
  readonly sshKeyRegistered?: boolean | undefined;
  readonly problem?: string | undefined;
  /** Its address is on this machine: nothing there is real, and nothing costs money. */
  readonly isMadeUp?: boolean | undefined;
}
export interface Doctor {
  check(
    request: {
      readonly fix?: 'register_ssh_key' | 'generate_ssh_key' | undefined;
      readonly provider?: ProviderName | undefined;
    },
    options: CallOptions,
  ): Promise<{
    readonly providers: readonly DoctorProvider[];
    readonly sshKey: {
      readonly path: string;
      readonly exists: boolean;
      readonly fingerprint?: string | undefined;
      /** Why the key that was named cannot be used. Absent: ours, made when it is needed. */
      readonly problem?: string | undefined;
    };
    readonly tools: Readonly<Record<string, boolean>>;
    readonly home: string;
    readonly workspace: string;
    readonly missing: readonly string[];
    /** Settings that cannot work; they stand in `missing` too. */
    readonly problems?: readonly string[] | undefined;
    readonly fixed: readonly string[];
  }>;
}
