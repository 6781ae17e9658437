import type { Lease } from '../core/lease.ts';
import type { ProviderFacts, Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { limitOf } from './deps.ts';
import { handleOf, type Ledger } from './ledger.ts';

const WRITE_LIMIT_SECONDS = 20;

/** The timer on the pod itself, which ends it when no process of ours runs. */
export interface PodTimer {
  /** Writes the deadline to the pod and reads it back. Best effort: where it fails the lease keeps saying so, and it is tried again. */
  tell(lease: Lease): Promise<Lease>;
  isBehind(lease: Lease): boolean;
}

/** Whether the timer on a pod that can be reached holds another deadline than its lease, or may do so. */
export function isTimerBehind(lease: Lease, facts: ProviderFacts | undefined): boolean {
  return (
    facts?.deadlineFile !== undefined &&
    lease.approvedBy !== 'adopted' &&
    lease.state === 'open' &&
    lease.readyAt !== undefined &&
    lease.stoppedAt === undefined &&
    lease.deadlineTold !== lease.deadlineAt &&
    !Number.isNaN(Date.parse(lease.deadlineAt))
  );
}

export function createPodTimer({
  ledger,
  providers,
  remote,
}: {
  readonly ledger: Ledger;
  readonly providers: Providers;
  readonly remote: Remote;
}): PodTimer {
  const factsOf = (lease: Lease): ProviderFacts | undefined => providers.get(lease.provider)?.facts;
  return {
    isBehind: (lease) => isTimerBehind(lease, factsOf(lease)),
    async tell(lease) {
      const file = factsOf(lease)?.deadlineFile;
      if (file === undefined || !isTimerBehind(lease, factsOf(lease))) return lease;
      const { deadlineAt } = lease;
      const epochSeconds = String(Math.floor(Date.parse(deadlineAt) / 1000));
      try {
        const { stdout } = await remote.exec(handleOf(lease), writeScript(file, epochSeconds), {
          signal: limitOf(WRITE_LIMIT_SECONDS * 2),
          timeoutSeconds: WRITE_LIMIT_SECONDS,
        });
        if (stdout.toString('utf8').trim() !== epochSeconds) return lease;
      } catch {
        return lease;
      }
      return ledger.update(lease.leaseId, (before) => ({ ...before, deadlineTold: deadlineAt }));
    },
  };
}

/** A new file, then a rename: the timer never reads half a number. Relative to the home of the login, where scripts start. */
export function writeScript(file: string, epochSeconds: string): string {
  const target = shellQuote(file);
  const folder = shellQuote(file.includes('/') ? file.slice(0, file.lastIndexOf('/')) || '/' : '.');
  const fresh = shellQuote(`${file}.new`);
  return [
    'umask 077',
    `mkdir -p ${folder} && printf '%s\\n' ${shellQuote(epochSeconds)} >${fresh} && mv -f ${fresh} ${target}`,
    `cat ${target}`,
  ].join('\n');
}
