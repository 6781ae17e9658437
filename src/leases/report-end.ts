import type { PodId } from '../core/ids.ts';
import type { Receipt } from '../core/lease.ts';
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
    : { waiver: `${waiver.gates.length} open gates waived by ${waiver.by}: ${waiver.reason}` };
}
