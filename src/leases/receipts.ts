import type { ProviderName } from '../core/ids.ts';
import { randomToken } from '../core/ids.ts';
import type { Lease, Receipt } from '../core/lease.ts';
import {
  canonicalJson,
  RECEIPT_FORMAT,
  type SealedReceipt,
  sealedReceiptSchema,
  sealOf,
  sha256Of,
} from '../core/receipt.ts';
import type { Collections } from '../core/store.ts';
import { roundUsd, spentUsd } from './money.ts';
import { endingOf, gpuUuidsOf, unseenLosses } from './receipt-facts.ts';
import { receiptMarkdown } from './receipt-text.ts';

type Tx = Pick<Collections, 'receipts' | 'chain' | 'code' | 'artifacts' | 'jobs'>;
type Facts = Omit<
  SealedReceipt,
  'format' | 'chain' | 'sequence' | 'previous' | 'markdownSha256' | 'sha256'
>;

export interface ReceiptDeps {
  /** Masks secrets in every text of a receipt. */
  readonly redact?: ((text: string) => string) | undefined;
  /** Whether nothing of that cloud is real. Default: it is. */
  readonly isMadeUp?: ((provider: ProviderName) => boolean) | undefined;
}
export interface End {
  readonly how: string;
  /** When the reading that proved it was made. */
  readonly readAt: Date;
  readonly endedAt: Date;
  /** Nobody saw the pod gone: `how` says why the lease counts no more. */
  readonly unproven?: boolean;
  /** We ordered it after a look at what was on the pod. */
  readonly wasLookedAt: boolean;
}

/**
 * Writes what the closed lease leaves, once for each end: the receipt and its link in the chain. Must run in the transaction
 * that closes the lease, so that no end is without its link and two ends never follow the same one.
 */
export async function writeReceipt(
  tx: Tx,
  lease: Lease,
  end: End,
  deps: ReceiptDeps,
): Promise<void> {
  const { podId } = lease;
  if (podId === undefined || (await tx.receipts.get(podId)) !== undefined) return;
  const { how, readAt, endedAt, unproven = false, wasLookedAt } = end;
  const artifacts = (await tx.artifacts.list()).filter((artifact) => artifact.podId === podId);
  const jobs = (await tx.jobs.list()).filter((job) => job.podId === podId);
  const notHome = unseenLosses(lease, jobs, artifacts, wasLookedAt);
  const receipt: Receipt = {
    podId,
    name: lease.name,
    provider: lease.provider,
    usdPerHour: roundUsd(lease.usdPerHour),
    createdAt: lease.createdAt,
    endedAt: endedAt.toISOString(),
    runtimeSeconds: Math.max(0, (endedAt.getTime() - Date.parse(lease.createdAt)) / 1000),
    estimatedUsd: roundUsd(spentUsd(lease, endedAt)),
    artifacts: artifacts.map(({ remotePath, localPath, sha256, proof }) => ({
      path: remotePath,
      localPath,
      sha256,
      proof,
    })),
    proof: { how, readAt: readAt.toISOString() },
    ...(lease.waiver === undefined ? {} : { waiver: lease.waiver }),
    ...(notHome.length === 0 ? {} : { notHome: [...notHome] }),
    ...(lease.volumes === undefined ? {} : { volumes: lease.volumes }),
  };
  await tx.receipts.put(podId, receipt);
  const code = (await tx.code.list()).filter((record) => record.podId === podId);
  const { offer, terms } = lease;
  const image = terms.image ?? terms.workloadImage;
  await seal(
    tx,
    {
      kind: unproven ? 'given_up' : 'ended',
      ...(await supersededBy(tx, podId)),
      writtenAt: readAt.toISOString(),
      lease: {
        leaseId: lease.leaseId,
        label: lease.label,
        podId,
        name: lease.name,
        provider: lease.provider,
        offerId: offer.offerId,
        ...(offer.machineId === undefined ? {} : { machineId: offer.machineId }),
        ...(offer.gpu === undefined ? {} : { gpu: offer.gpu }),
        gpuCount: offer.gpuCount,
        region: offer.region,
        rehearsal: offer.rehearsal === true || deps.isMadeUp?.(lease.provider) === true,
        ...(lease.quoteId === undefined ? {} : { quoteId: lease.quoteId }),
        approvedBy: lease.approvedBy,
        createdAt: lease.createdAt,
        ...(lease.readyAt === undefined ? {} : { readyAt: lease.readyAt }),
        endedAt: receipt.endedAt,
        deadlineAt: lease.deadlineAt,
        ...(lease.budgetUsd === undefined ? {} : { budgetUsd: roundUsd(lease.budgetUsd) }),
      },
      environment: {
        ...(image === undefined ? {} : { image }),
        ...(terms.template === undefined ? {} : { template: terms.template }),
        ...(terms.workload === undefined ? {} : { workload: terms.workload }),
        diskGb: terms.diskGb,
        ports: [...terms.ports],
        env: Object.keys(terms.env).sort(),
        secretEnv: [...terms.secretEnv].sort(),
        ...(terms.setup === undefined ? {} : { setupSha256: sha256Of(terms.setup) }),
      },
      gpuUuids: gpuUuidsOf(lease),
      code,
      cost: {
        usdPerHour: receipt.usdPerHour,
        secondsBilled: receipt.runtimeSeconds,
        estimatedUsd: receipt.estimatedUsd,
      },
      artifacts: artifacts.map(({ remotePath, localPath, bytes, sha256, proof, fetchedAt }) => ({
        path: remotePath,
        localPath,
        bytes,
        sha256,
        proof,
        fetchedAt,
      })),
      ending: endingOf(lease, endedAt),
      ...(receipt.waiver === undefined ? {} : { waiver: receipt.waiver }),
      ...(receipt.notHome === undefined ? {} : { notHome: receipt.notHome }),
      ...(receipt.volumes === undefined ? {} : { volumes: receipt.volumes }),
      proof: {
        provider: lease.provider,
        verb: lease.closingAt === undefined || unproven ? 'none' : 'terminate',
        ...(lease.closingAt === undefined || unproven ? {} : { orderedAt: lease.closingAt }),
        status: unproven ? 'unknown' : 'gone',
        how,
        readAt: readAt.toISOString(),
        ...(lease.observedAt === undefined ? {} : { lastSeenAt: lease.observedAt }),
        ...(lease.observedStatus === undefined ? {} : { lastStatus: lease.observedStatus }),
      },
    },
    deps,
  );
}

/** The pod was seen again: what was said of its end holds no more. */
export async function withdrawReceipt(
  tx: Tx,
  podId: string,
  at: Date,
  deps: ReceiptDeps,
): Promise<void> {
  await tx.receipts.delete(podId);
  const last = await lastOf(tx, podId);
  if (last !== undefined && last.kind !== 'withdrawn')
    await sealAfter(tx, last, { kind: 'withdrawn', writtenAt: at.toISOString() }, deps);
}

/** The receipt with other volumes, and a link that says so. */
export async function amendReceipt(
  tx: Tx,
  receipt: Receipt,
  at: Date,
  deps: ReceiptDeps,
): Promise<void> {
  await tx.receipts.put(receipt.podId, receipt);
  const last = await lastOf(tx, receipt.podId);
  const { volumes } = receipt;
  if (last === undefined || last.kind === 'withdrawn' || volumes === undefined) return;
  if (canonicalJson(last.volumes ?? []) === canonicalJson(volumes)) return;
  await sealAfter(tx, last, { kind: 'amended', writtenAt: at.toISOString(), volumes }, deps);
}

async function sealAfter(
  tx: Tx,
  last: SealedReceipt,
  change: Pick<SealedReceipt, 'kind' | 'writtenAt'> & Pick<Partial<SealedReceipt>, 'volumes'>,
  deps: ReceiptDeps,
): Promise<void> {
  await seal(tx, { ...last, ...change, supersedes: last.sha256 }, deps);
}

async function lastOf(tx: Tx, podId: string): Promise<SealedReceipt | undefined> {
  return (await tx.chain.list()).findLast(({ lease }) => lease.podId === podId);
}

async function supersededBy(tx: Tx, podId: string): Promise<Pick<SealedReceipt, 'supersedes'>> {
  const last = await lastOf(tx, podId);
  return last === undefined ? {} : { supersedes: last.sha256 };
}

/** The id of a link tells its place and its hash, so that one which cannot be read is still followed by the next. */
const idOf = ({ sequence, sha256, chain }: SealedReceipt): string =>
  `${String(sequence).padStart(9, '0')}:${sha256}:${chain}`;

async function headOf(tx: Tx): Promise<{
  readonly sequence: number;
  readonly previous: string | undefined;
  readonly chain: string | undefined;
}> {
  const ids = [...(await tx.chain.list()).map(idOf), ...((await tx.chain.unreadable?.()) ?? [])];
  const [sequence, previous, chain] = ids.sort().at(-1)?.split(':') ?? [];
  return { sequence: Number(sequence ?? 0), previous, chain };
}

async function seal(tx: Tx, facts: Facts, { redact }: ReceiptDeps): Promise<void> {
  const { sequence, previous, chain } = await headOf(tx);
  const shown = redact === undefined ? facts : mapTexts(facts, redact);
  // Without what a receipt does not hold, and with what is made here where the facts are those of an older link.
  const draft = sealedReceiptSchema.parse({
    ...(typeof shown === 'object' ? shown : {}),
    format: RECEIPT_FORMAT,
    chain: chain ?? randomToken(16),
    sequence: sequence + 1,
    ...(previous === undefined ? {} : { previous }),
    markdownSha256: '0'.repeat(64),
    sha256: '0'.repeat(64),
  });
  const written = { ...draft, markdownSha256: sha256Of(receiptMarkdown(draft)) };
  const sealed = { ...written, sha256: sealOf(written) };
  await tx.chain.put(idOf(sealed), sealed);
}

/** Words, ids and hashes of ours. A masked one would be none any more, and a lease that cannot be closed costs money. */
const OWN_WORDS: ReadonlySet<string> = new Set([
  ...['podId', 'provider', 'volumeId', 'jobId', 'gate', 'by', 'kind', 'verb', 'status', 'tracked'],
  ...['supersedes', 'setupSha256', 'proof'],
]);

/** The value with every text of others in it changed; names of fields stay. */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      typeof field === 'string' && OWN_WORDS.has(name) ? field : mapTexts(field, change),
    ]),
  );
}
