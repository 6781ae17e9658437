import { count } from '../core/count.ts';
import type { Gate } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { Receipt } from '../core/lease.ts';
import { namesOf } from '../core/left-behind.ts';
import type { Report } from '../core/report.ts';
import type { Store } from '../core/store.ts';

/** Who ended the pod and why, where nobody had asked for it. */
export async function endingOf(store: Store, podId: PodId): Promise<string | undefined> {
  return (await store.log.list(podId)).findLast(({ kind }) => kind === 'expired')?.text;
}

/** How it was seen gone, and why it ended, where a deadline or a budget ended it. */
export function proofOf({ proof }: Receipt, ending: string | undefined): Receipt['proof'] {
  return ending === undefined ? proof : { ...proof, how: `${proof.how} ${ending}` };
}

/** Which gates were let pass, and by whom. */
export function waiverOf(receipt: Receipt | undefined): Pick<Report, 'waiver'> {
  const waiver = receipt?.waiver;
  return waiver === undefined
    ? {}
    : {
        waiver: `${count(waiver.gates.length, 'open gate')} waived by ${waiver.by}: ${waiver.reason.replace(/\.$/, '')}. Waived: ${waivedNames(waiver.gates)}`,
      };
}

const MOST_GATES = 50;
function waivedNames(gates: readonly Gate[]): string {
  const names = gates.slice(0, MOST_GATES).map(({ gate, ...about }) => {
    const { path, jobId } = about;
    if (path === undefined) return jobId === undefined ? gate : `${gate} of ${jobId}`;
    return `${gate} ${namesOf([{ path, ...(jobId === undefined ? {} : { jobId }) }])}`;
  });
  const more = gates.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
