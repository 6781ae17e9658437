import { z } from 'zod';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import { type Gate, gateSchema, NO_FILE_MATCHES } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import { type Receipt, receiptSchema } from '../core/lease.ts';
import { leftWords, lostWith } from '../core/left-behind.ts';
import { type DestroyOutcome, podSchema } from '../core/pods.ts';
import { cutOffSessions, cutOffWords, openSessions } from './cut-off.ts';
import { podIdParam, text, waitParam } from './params.ts';
import { briefPod } from './pod-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { isVolumeId, keptLine, keptWords } from './volume-text.ts';
import {
  brokenCall,
  duration,
  fetchCall,
  GIVE_UP,
  inSentence,
  lines,
  list,
  type Next,
  oneLine,
  renderResult,
  usd,
} from './words.ts';

const MOST_GATES = 100;

export const destroy = defineTool({
  name: 'destroy',
  title: 'Destroy a pod',
  description:
    'Destroy (terminate) a rented GPU pod (or a volume, by its id) and stop the meter; its disk is lost. Refused as "blocked" while jobs run or declared artifacts are not home and proven: fetch_artifacts first. discardUnfetched with a reason gives them up, only if the user says so. Waits up to waitSeconds: "gone" is read afresh from the provider; on "present" or "unknown" billing may go on: call again.',
  effect: 'destroy',
  input: z.strictObject({
    podId: podIdParam,
    discardUnfetched: z.boolean().default(false).describe('Loses data. Needs reason.'),
    reason: text(1000).exactOptional(),
    waitSeconds: waitParam.default(25),
  }),
  output: z.object({
    outcome: z.enum(['gone', 'present', 'unknown', 'blocked']),
    receipt: receiptSchema.omit({ notHome: true }).exactOptional(),
    missing: z.array(gateSchema),
    declined: z.boolean().exactOptional(),
    pod: podSchema.describe('As in get_pod.').exactOptional(),
    ...resultShape,
  }),
  async handle({ podId, ...request }, { pods, sessions, signal, progress, ask }) {
    if (request.discardUnfetched && request.reason === undefined)
      throw new InputError('invalid_input', 'discardUnfetched needs reason: why data is given up.');
    const open = await openSessions(sessions, podId);
    const outcome = await pods.destroy(podId, request, { signal, progress, ask });
    const { summary, next } = wordsOf(podId, outcome);
    const cut = await cutOffSessions(sessions, podId, open);
    return { ...resultOf(outcome), summary: `${summary}${cutOffWords(cut)}`, next };
  },
  render(result) {
    const { receipt, missing } = result;
    return renderResult(
      result,
      missing.length > 0 && list(missing.map(renderGate)),
      receipt !== undefined &&
        lines(
          `Receipt: ${usd(receipt.estimatedUsd)} estimated, ${duration(receipt.runtimeSeconds)} at ${usd(receipt.usdPerHour)}/h, ${receipt.createdAt} to ${receipt.endedAt}.`,
          `Proof: ${inSentence(receipt.proof.how)}, read at ${receipt.proof.readAt}.`,
          receipt.artifacts.length > 0 &&
            `Files home:\n${list(receipt.artifacts.map(({ localPath, proof }) => `${localPath} (${proof})`))}`,
          receipt.volumes !== undefined &&
            receipt.volumes.length > 0 &&
            `Kept and still charged:\n${list(receipt.volumes.map(keptLine))}`,
          receipt.waiver !== undefined &&
            lines(
              `Waived by ${receipt.waiver.by}: ${oneLine(receipt.waiver.reason)} (${count(receipt.waiver.gates.length, 'open gate')}).`,
              list(receipt.waiver.gates.map(renderGate), MOST_GATES),
            ),
        ),
    );
  },
});

function resultOf(outcome: DestroyOutcome) {
  switch (outcome.outcome) {
    case 'gone':
      return {
        outcome: outcome.outcome,
        missing: [],
        ...(outcome.receipt === undefined ? {} : { receipt: outcome.receipt }),
      };
    case 'present':
    case 'unknown':
      return { outcome: outcome.outcome, missing: [], pod: briefPod(outcome.pod) };
    case 'blocked':
      return {
        outcome: outcome.outcome,
        missing: [...outcome.missing],
        ...(outcome.pod === undefined ? {} : { pod: briefPod(outcome.pod) }),
        ...(outcome.declined === undefined ? {} : { declined: outcome.declined }),
      };
  }
}

function wordsOf(podId: PodId, outcome: DestroyOutcome): { summary: string; next: Next } {
  const thing = `${isVolumeId(podId) ? 'Volume' : 'Pod'} ${podId}`;
  const again = { tool: 'destroy', why: 'Try again until it is gone.', arguments: { podId } };
  switch (outcome.outcome) {
    case 'gone': {
      const { receipt } = outcome;
      const cost =
        receipt === undefined
          ? ''
          : ` It ran ${duration(receipt.runtimeSeconds)} for about ${usd(receipt.estimatedUsd)}; seen gone at ${receipt.proof.readAt}.`;
      return {
        summary: `${thing} is gone.${cost}${lossWords(receipt)}${keptWords(receipt?.volumes)}`,
        next: [
          isVolumeId(podId)
            ? { tool: 'list_pods', why: 'See what is left.', arguments: {} }
            : { tool: 'report', why: 'Read the final report.', arguments: { podId } },
        ],
      };
    }
    case 'present':
      return {
        summary: `${thing} still exists although its end was ordered. Billing may go on.`,
        next: [again],
      };
    case 'unknown':
      return {
        summary: `The provider gave no reading that tells whether ${podId} ended. Billing may go on.${outcome.pod.problem === undefined ? '' : ` ${outcome.pod.problem}`}`,
        next: [again, { tool: 'doctor', why: 'See whether the provider answers.', arguments: {} }],
      };
    case 'blocked': {
      if (isVolumeId(podId)) return blockedVolume(podId, outcome.declined === true);
      const kinds = [...new Set(outcome.missing.map(({ gate }) => gate))].join(', ');
      const said = outcome.declined === true ? ' The user declined to give them up.' : '';
      const holdsFiles = outcome.missing.some(({ gate }) => gate !== 'job_running');
      const broken = outcome.missing.filter(({ gate }) => gate === 'artifact_broken').length;
      const brokenWords =
        broken === 0
          ? ''
          : ` ${count(broken, 'file')} came home and cannot be opened: fetching again brings the same, so wait for the job or run it again.`;
      const canCome = outcome.missing.some(isFetchable);
      const wayHome = canCome ? ' Bring it home with fetch_artifacts, then destroy.' : '';
      // Whoever can still fetch a file is not shown the way to lose it.
      const wayOut = holdsFiles && !outcome.missing.every(isMendable) ? ` ${GIVE_UP}` : '';
      return {
        summary: `${thing} is kept: ${count(outcome.missing.length, 'open gate')} (${kinds}). Nothing was stopped.${said}${wayHome}${brokenWords}${wayOut}`,
        next: gateCalls(podId, outcome.missing),
      };
    }
  }
}

/** What went with the pod: given up by name in the receipt, or gone with nobody asked. */
function lossWords(receipt: Receipt | undefined): string {
  if (receipt === undefined) return '';
  const { waiver } = receipt;
  const lost = leftWords({ rescued: [], lost: lostWith(receipt) });
  return waiver === undefined
    ? lost
    : ` ${count(waiver.gates.length, 'open gate')} waived by ${waiver.by} (${kindsOf(waiver.gates)}): receipt.waiver.gates names each.${lost}`;
}
const kindsOf = (gates: readonly Gate[]): string =>
  [...new Set(gates.map(({ gate }) => gate))]
    .map((kind) => `${gates.filter(({ gate }) => gate === kind).length} ${kind}`)
    .join(', ');

/** There is no way to prove that a volume holds nothing that is needed: only a person knows. */
function blockedVolume(podId: PodId, isDeclined: boolean): { summary: string; next: Next } {
  const said = isDeclined ? ' The user declined to give it up.' : '';
  return {
    summary: `Volume ${podId} is kept, and charged: what is on it may be the only copy.${said} Ask the user; with discardUnfetched and their reason it is removed with everything on it.`,
    next: [
      {
        tool: 'destroy',
        why: 'Only if the user says so: add reason, why its data is given up.',
        arguments: { podId, discardUnfetched: true },
      },
    ],
  };
}

/** Whether a fetch closes the gate. */
const isFetchable = ({ gate, why }: Gate): boolean =>
  ['artifact_not_fetched', 'artifact_changed', 'artifact_not_home'].includes(gate) &&
  !why.includes(NO_FILE_MATCHES);
const isMendable = (gate: Gate): boolean => isFetchable(gate) || gate.gate === 'job_running';

/** The call that closes each kind of gate. Ids are ours; paths come from the pod and stay out. */
function gateCalls(podId: PodId, missing: readonly Gate[]): Next {
  const running = missing.find(({ gate }) => gate === 'job_running')?.jobId;
  const isNowhere = ({ why }: Gate): boolean => why.includes(NO_FILE_MATCHES);
  const jobs = new Set(
    missing.flatMap((gate) =>
      gate.gate !== 'job_running' &&
      gate.gate !== 'not_checked' &&
      gate.gate !== 'artifact_broken' &&
      gate.jobId !== undefined &&
      !isNowhere(gate)
        ? [gate.jobId]
        : [],
    ),
  );
  const without = missing.find((gate) => isNowhere(gate) && gate.jobId !== undefined)?.jobId;
  const broken = missing.find(({ gate }) => gate === 'artifact_broken')?.jobId;
  const calls: Next = [
    ...(running === undefined
      ? []
      : [
          {
            tool: 'job_wait',
            why: 'Let the job end, or use job_cancel.',
            arguments: { jobId: running },
          },
        ]),
    ...[...jobs].map((jobId) => fetchCall(jobId, 'Bring its results home, proven.')),
    ...(broken === undefined || broken === running ? [] : [brokenCall(broken)]),
    ...(without === undefined || jobs.has(without)
      ? []
      : [
          {
            tool: 'job_logs',
            why: 'A declared file was never written: see where the job saved, then ask the user.',
            arguments: { jobId: without },
          },
        ]),
    ...(missing.some(({ gate }) => gate === 'not_checked')
      ? [{ tool: 'get_pod', why: 'See why the pod cannot be looked at.', arguments: { podId } }]
      : []),
  ];
  return calls.slice(0, 3);
}

const renderGate = ({ gate, jobId, path, why }: Gate): string =>
  `${gate}${jobId === undefined ? '' : ` ${jobId}`}${path === undefined ? '' : ` ${path}`}: ${why}`;
