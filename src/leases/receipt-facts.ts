import type { Lease } from '../core/lease.ts';
import type { SealedReceipt } from '../core/receipt.ts';

/** Who ended the pod: as it was ordered, or as its times tell where nobody here ordered it. */
export function endingOf(
  { ending, closingAt, deadlineAt }: Lease,
  endedAt: Date,
): NonNullable<SealedReceipt['ending']> {
  if (ending !== undefined) return ending;
  if (closingAt !== undefined) return { by: 'server', why: 'its end had been ordered' };
  return endedAt.getTime() >= Date.parse(deadlineAt)
    ? { by: 'pod', why: 'its deadline had come' }
    : { by: 'outside', why: 'nobody here had ordered it' };
}

/** What the pod itself said of its GPUs. */
export function gpuUuidsOf({ measured }: Lease): string[] {
  const told = measured?.['gpuUuids'];
  return typeof told === 'string' && told !== '' ? told.split(' ') : [];
}
