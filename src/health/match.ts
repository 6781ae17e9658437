import { type Finding, type JobEvidence, NOT_STARTED, type NotStarted } from '../core/job.ts';
import { quoteForeign } from '../core/untrusted.ts';
import type { Rule } from './rule.ts';
import { BOOT_RULES } from './rules-boot.ts';
import { CLOUD_RULES } from './rules-cloud.ts';
import { FRAMEWORK_RULES } from './rules-framework.ts';
import { LINK_RULES } from './rules-link.ts';
import { MACHINE_RULES } from './rules-machine.ts';
import { PROGRAM_RULES } from './rules-program.ts';

/** Every text rule, specific before general within its group. */
export const RULES: readonly Rule[] = [
  ...MACHINE_RULES,
  ...FRAMEWORK_RULES,
  ...CLOUD_RULES,
  ...BOOT_RULES,
  ...LINK_RULES,
  ...PROGRAM_RULES,
];

const MAX_LINES = 5000;
const MAX_LINE_CHARS = 1000;
const UNKNOWN_LINES = 50;

/**
 * Every rule that some line of `text` matches: the earliest line first, since later trouble is usually its effect, and
 * known effects after all causes [FA-04]. Linear in the text.
 */
export function findingsIn(text: string): readonly Finding[] {
  const lines = text
    .split('\n')
    .slice(-MAX_LINES)
    .map((line) => line.slice(0, MAX_LINE_CHARS));
  const hits: { readonly rule: Rule; readonly at: number; readonly line: string }[] = [];
  for (const rule of RULES) {
    const at = lines.findIndex((line) => rule.pattern.test(line));
    if (at >= 0) hits.push({ rule, at, line: lines[at] ?? '' });
  }
  const rank = (rule: Rule): number => (rule.isEffect === true ? 1 : 0);
  return hits
    .toSorted((a, b) => rank(a.rule) - rank(b.rule) || a.at - b.at)
    .map(({ rule, line }) => ({
      code: rule.id,
      class: rule.class,
      retryable: rule.retryable,
      remedy: rule.remedy,
      evidence: quoteForeign(line, 500),
    }));
}

/** Why a job ended badly: facts of the machine before words of the log, and an honest `unknown` [FA-02] [FA-05]. */
export function diagnoseJob(evidence: JobEvidence): readonly Finding[] {
  const facts = factFindings(evidence);
  const texts = [...findingsIn(evidence.stderr), ...findingsIn(evidence.stdout)];
  const all = [...facts, ...texts];
  const known = all.filter(
    (finding, index) => all.findIndex((other) => other.code === finding.code) === index,
  );
  return known.length > 0 ? known : [unknownFinding(evidence)];
}

function factFindings(evidence: JobEvidence): readonly Finding[] {
  const { ended, oomKills, exitCode, notStarted } = evidence;
  if (notStarted !== undefined) return [unstarted(notStarted)];
  const found: Finding[] = [];
  if (ended === 'reboot')
    found.push({
      code: 'D-061',
      class: 'host_fault',
      retryable: 'after_fix',
      remedy: 'The pod restarted while the job ran: start it again from its last checkpoint.',
    });
  if ((oomKills ?? 0) > 0)
    found.push({
      code: 'D-054',
      class: 'oom_host',
      retryable: 'after_fix',
      remedy:
        'The memory limit of the pod killed a process: fewer workers, less caching, or more RAM.',
    });
  if (ended === 'disk_full')
    found.push({
      code: 'D-059',
      class: 'disk',
      retryable: 'after_fix',
      remedy:
        'The disk ran full: remove old checkpoints (never the best one), or use a larger disk.',
    });
  if (ended === 'timed_out')
    found.push({
      code: 'job_deadline',
      class: 'timeout',
      retryable: 'after_fix',
      remedy: 'Its own time limit ended it: resume from a checkpoint with more maxRuntimeMinutes.',
    });
  if (ended === 'smoke_failed')
    found.push({
      code: 'smoke_failed',
      class: 'code',
      retryable: 'after_fix',
      remedy:
        'smokeCommand failed, so command never ran. Its output is what the logs hold: fix it, or start without smokeCommand.',
      ...excerptOf(evidence),
    });
  if (ended === 'smoke_timed_out')
    found.push({
      code: 'smoke_timed_out',
      class: 'timeout',
      retryable: 'after_fix',
      remedy:
        'smokeCommand did not end within its 10 minutes, so command never ran: make it shorter.',
    });
  if (ended === 'killed' || (exitCode === 137 && (oomKills ?? 0) === 0 && ended === 'exit'))
    found.push({
      code: 'D-055',
      class: 'unknown',
      retryable: 'no',
      remedy:
        'Killed from outside, and not by the memory limit of the pod: a person, the provider, or the host. Look at the pod with diagnose.',
    });
  return found;
}

const UNSTARTED = {
  disk_full: {
    class: 'disk',
    fix: 'Make room in its folder and in the home of the login, and start it again; the supervisor log tells how much is free and how much it needs.',
  },
  folder_missing: { class: 'config', fix: 'Make the folder with sync_files, and start it again.' },
} as const;
const unstarted = (why: NotStarted): Finding => ({
  code: 'not_started',
  class: UNSTARTED[why].class,
  retryable: 'after_fix',
  remedy: `${NOT_STARTED[why]} ${UNSTARTED[why].fix}`,
});

/** Its last words. */
function excerptOf({ stderr, stdout }: JobEvidence): Pick<Finding, 'evidence'> {
  const source = stderr.trim() === '' ? stdout : stderr;
  const excerpt = quoteForeign(source.trimEnd().split('\n').slice(-UNKNOWN_LINES).join('\n'), 4000);
  return excerpt === '' ? {} : { evidence: excerpt };
}

function unknownFinding(evidence: JobEvidence): Finding {
  return {
    code: 'unknown',
    class: 'unknown',
    retryable: 'no',
    remedy: 'No known cause matches: read the quoted lines, then the whole log with job_logs.',
    ...excerptOf(evidence),
  };
}
