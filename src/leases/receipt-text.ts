import type { SealedReceipt } from '../core/receipt.ts';
import { cleanTerminalText } from '../core/untrusted.ts';

const MOST_FILES = 200;

/** The receipt for people. Pure: the same facts give the same text, to the byte. Speaks of neither of the two hashes. */
export function receiptMarkdown(receipt: SealedReceipt): string {
  const {
    lease,
    environment,
    cost,
    proof,
    artifacts,
    code,
    waiver,
    ending,
    notHome = [],
    volumes = [],
  } = receipt;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Lease', `${quoted(lease.leaseId)}, label ${quoted(lease.label)}`],
    ['Pod', `${quoted(lease.podId)} ${quoted(lease.name)}${lease.rehearsal ? ' (rehearsal)' : ''}`],
    ['Offer', `${quoted(lease.offerId)} in ${quoted(lease.region)}`],
    ['GPU', lease.gpu === undefined ? undefined : `${lease.gpuCount} x ${quoted(lease.gpu)}`],
    ['GPU ids', listed(receipt.gpuUuids)],
    ['Image', optional(environment.image)],
    ['Template', optional(environment.template)],
    ['Workload', optional(environment.workload)],
    ['Variables', listed([...environment.env, ...environment.secretEnv])],
    ['Approved by', lease.approvedBy],
    ['Created', lease.createdAt],
    ['Ready', lease.readyAt],
    ['Ended', lease.endedAt],
    ['Deadline', lease.deadlineAt],
    ['Ended by', ending === undefined ? undefined : `${ending.by}: ${quoted(ending.why)}`],
    ['Price', `${money(cost.usdPerHour)} per hour`],
    ['Budget', lease.budgetUsd === undefined ? undefined : money(lease.budgetUsd)],
    ['Billed', `${cost.secondsBilled.toFixed(1)} s, about ${money(cost.estimatedUsd)}`],
  ];
  return [
    `# Receipt ${receipt.sequence}: ${TITLES[receipt.kind]}`,
    '',
    `Chain \`${receipt.chain}\`, after ${receipt.previous === undefined ? 'none: the first' : `\`${receipt.previous}\``}. Written ${quoted(receipt.writtenAt)}.`,
    ...(receipt.supersedes === undefined
      ? []
      : [`Takes the place of the receipt with sha256 \`${receipt.supersedes}\`.`]),
    '',
    '| | |',
    '| --- | --- |',
    ...rows.flatMap(([name, value]) => (value === undefined ? [] : [`| ${name} | ${value} |`])),
    '',
    '## Proof of the end',
    '',
    `${proof.verb === 'terminate' ? `Its end was ordered at ${quoted(proof.orderedAt ?? '')}.` : 'Its end was not ordered here.'} Read from ${proof.provider} at ${quoted(proof.readAt)}: ${proof.status}. ${quoted(proof.how)}`,
    ...(proof.lastSeenAt === undefined
      ? []
      : [`Last seen at ${quoted(proof.lastSeenAt)} as ${quoted(proof.lastStatus ?? 'unknown')}.`]),
    '',
    '## Code',
    '',
    ...(code.length === 0
      ? ['None was sent by `sync_files`.']
      : code.map(
          (sent) =>
            `- ${quoted(sent.localPath)} to ${quoted(sent.remotePath)}: commit ${quoted(sent.commit ?? 'none')}, tracked files ${sent.tracked}, ${sent.files} files, ${sent.bytes} bytes, ${quoted(sent.syncedAt)}`,
        )),
    '',
    '## Artifacts',
    '',
    ...(artifacts.length === 0 ? ['None came home.'] : []),
    ...artifacts
      .slice(0, MOST_FILES)
      .map(
        ({ path, localPath, bytes, sha256, proof: level }) =>
          `- ${quoted(path)} at ${quoted(localPath)}: ${bytes} bytes, sha256 \`${sha256}\`, ${level}`,
      ),
    ...(artifacts.length > MOST_FILES
      ? [`- ${artifacts.length - MOST_FILES} more: see the JSON.`]
      : []),
    ...(notHome.length === 0
      ? []
      : [
          '',
          '## NOT HOME',
          '',
          'Declared, and not known to be home when the pod was gone:',
          '',
          ...notHome.map(
            ({ jobId, path, why }) =>
              `- ${quoted(path)}${jobId === undefined ? '' : ` of ${quoted(jobId)}`}: ${quoted(why)}`,
          ),
        ]),
    ...(waiver === undefined
      ? []
      : [
          '',
          '## Waiver',
          '',
          `By ${waiver.by} at ${quoted(waiver.at)}: ${quoted(waiver.reason)}`,
          ...waiver.gates.map(
            ({ gate, jobId, path, why }) =>
              `- ${gate}${path === undefined ? '' : ` ${quoted(path)}`}${jobId === undefined ? '' : ` of ${quoted(jobId)}`}: ${quoted(why)}`,
          ),
        ]),
    ...(volumes.length === 0
      ? []
      : [
          '',
          '## Kept and still charged',
          '',
          ...volumes.map(
            ({ volumeId, sizeGb, usdPerMonth }) =>
              `- ${quoted(volumeId)}: ${sizeGb} GB${usdPerMonth === undefined ? '' : `, ${money(usdPerMonth)} per month`}`,
          ),
        ]),
    '',
    'The JSON beside this text is the receipt; `gpu-lease verify` checks both.',
    '',
  ].join('\n');
}

/** Prices of a market have four places; the JSON has six. */
const money = (amount: number): string => `$${amount.toFixed(4)}`;

const TITLES = {
  ended: 'the pod is gone',
  amended: 'a later fact of its end',
  given_up: 'given up, its end NOT proven',
  withdrawn: 'withdrawn, since the pod was seen again',
} as const satisfies Record<SealedReceipt['kind'], string>;

/** Text of others as code on one line: it can be neither markup nor a control sequence. */
function quoted(text: string): string {
  const line = cleanTerminalText(text).replace(/\s+/g, ' ').replaceAll('`', "'").trim();
  return `\`${line.replaceAll('|', '¦') || ' '}\``;
}
function optional(text: string | undefined): string | undefined {
  return text === undefined ? undefined : quoted(text);
}
function listed(texts: readonly string[]): string | undefined {
  return texts.length === 0 ? undefined : texts.map(quoted).join(', ');
}
