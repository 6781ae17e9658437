import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { RemoteError } from '../core/errors.ts';
import type { JobId } from '../core/ids.ts';
import type { LOG_STREAMS } from '../core/job.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { globWord } from './glob-word.ts';
import { jobShell, TAIL_BYTES } from './pod-shell.ts';

export interface LookRequest {
  readonly jobId: JobId;
  readonly stream: (typeof LOG_STREAMS)[number];
  /** Bytes of `stream` from `offset` come with the answer; negative: the last `maxBytes`. */
  readonly offset: number;
  readonly maxBytes: number;
  /** Longest time to wait on the pod for what `until` names, or for the end or the next phase of the job. */
  readonly waitSeconds: number;
  /** `output`: any after `offset`, or on stderr. `page`: as much as `maxBytes` takes. */
  readonly until: 'output' | 'page';
  /** Declared outputs; how fresh they are is a sign of life. */
  readonly artifacts: readonly string[];
  readonly cwd: string;
  /** The caller knows that no start can still be under way: a job that never started then never will. */
  readonly mayClaim: boolean;
}

const count = z.coerce.number().int().nonnegative();
const lookSchema = z.object({
  /** `absent`: no folder. `fresh`: put in place, not yet running. `dead`: ended without an exit code. `orphan`: runs without its supervisor. */
  state: z.enum(['absent', 'fresh', 'never', 'running', 'orphan', 'ended', 'dead', 'reboot']),
  folder: z.string().exactOptional(),
  phase: z.enum(['smoke', 'command']).exactOptional(),
  end: z.string().exactOptional(),
  exitCode: count.exactOptional(),
  endedAt: count.exactOptional(),
  startedAt: count.exactOptional(),
  ranSeconds: count.exactOptional(),
  now: count,
  size: count,
  stdoutBytes: count.default(0),
  stderrBytes: count.default(0),
  logAgeSeconds: z.coerce.number().int().exactOptional(),
  artifactAgeSeconds: z.coerce.number().int().exactOptional(),
  activeAgeSeconds: z.coerce.number().int().exactOptional(),
  gpuPercent: count.exactOptional(),
  processes: count.exactOptional(),
  cpuTicks: count.exactOptional(),
  diskFreeKb: count.exactOptional(),
  inodesFree: count.exactOptional(),
  oomKills: z.coerce.number().int().exactOptional(),
  stdoutTail: z.string().default(''),
  stderrTail: z.string().default(''),
  offset: count,
});
/** One look at a job on the pod. Times are the pod's own, in seconds; ages and `ranSeconds` survive a clock that is set. */
export type Look = Readonly<z.output<typeof lookSchema>> & { readonly bytes: Buffer };

const START = 'gpu-lease-look';
const PAGE = '\ngpu-lease-page\n';

export function lookScript(request: LookRequest): string {
  const { stream, offset, maxBytes, waitSeconds, until, artifacts, cwd, mayClaim } = request;
  return [
    jobShell(request.jobId),
    stream === 'bootstrap' ? 'LOG="$HOME/.gpu-lease/bootstrap.log"' : `LOG="$GL_D/${stream}"`,
    `FROM=${offset} MAX=${maxBytes} WAIT=${waitSeconds} FULL=${until === 'page' ? 1 : 0} CLAIM=${mayClaim ? 1 : 0}`,
    `GL_CWD=${shellQuote(cwd)}`,
    LOOK,
    `newest ${artifacts.map(globWord).join(' ')}`,
    ANSWER,
  ].join('\n');
}

/** Throws `remote_failed` when the answer is not ours. */
export function lookFrom(stdout: Buffer, foreignText: string): Look {
  const begin = stdout.indexOf(START);
  const end = stdout.indexOf(PAGE, Math.max(begin, 0));
  if (begin < 0 || end < 0)
    throw new RemoteError('remote_failed', 'The pod could not look at the job.', { foreignText });
  const fields: Record<string, string> = {};
  for (const line of stdout.subarray(begin, end).toString('utf8').split('\n').slice(1)) {
    const space = line.indexOf(' ');
    const value = line.slice(space + 1).trim();
    if (space > 0 && value !== '') fields[line.slice(0, space)] = value;
  }
  const parsed = lookSchema.safeParse(fields);
  if (!parsed.success)
    throw new RemoteError('remote_failed', 'The pod described the job in an unknown way.', {
      foreignText,
      cause: parsed.error,
    });
  const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
  return {
    ...parsed.data,
    stdoutTail: decode(parsed.data.stdoutTail),
    stderrTail: decode(parsed.data.stderrTail),
    bytes: stdout.subarray(end + PAGE.length),
  };
}

const LOOK = `
field() { printf '%s %s\\n' "$1" "$2"; }
age_of() {
  at=$(date -r "$1" +%s 2>/dev/null) && [ -n "$at" ] || return
  # From after the clock was set back: nobody knows how old that is.
  [ "$((NOW - at))" -ge -5 ] && printf '%s' "$((NOW - at))"
}
# Sets STATE without any pause.
state_now() {
  if [ ! -d "$GL_D" ]; then STATE=absent; return; fi
  if [ -e "$GL_D/exit" ]; then STATE=ended; return; fi
  if [ ! -e "$GL_D/pid" ]; then STATE=fresh; return; fi
  if lives pid; then STATE=running; return; fi
  boot
  before=
  { read -r before <"$GL_D/boot"; } 2>/dev/null
  if [ "$before" != "$GL_BOOT" ]; then STATE=reboot; return; fi
  members
  if [ -n "$GL_M" ]; then STATE=orphan; else STATE=dead; fi
}
# The exit code may be on its way: what looks dead is looked at again.
state() {
  state_now
  tries=0
  while [ "$tries" -lt 5 ]; do
    case $STATE in dead|fresh|absent) ;; *) break ;; esac
    tries=$((tries + 1))
    nap
    state_now
  done
  case $STATE in
    fresh|absent)
      if [ "$CLAIM" = 1 ]; then
        umask 077
        mkdir -p "$GL_D"
        if mkdir "$GL_D/launch" 2>/dev/null; then
          once end never_started
          STATE=never
        fi
      fi
      { read -r before <"$GL_D/end"; } 2>/dev/null && [ "$before" = never_started ] && STATE=never
      ;;
  esac
}
state
case $STATE in
  running|orphan)
    errors=$(size_of "$GL_D/stderr")
    now
    until_=$((GL_T + WAIT))
    seen= phase= phase_now=
    { read -r phase <"$GL_D/phase"; } 2>/dev/null
    while [ "$GL_T" -lt "$until_" ]; do
      size=$(size_of "$LOG")
      if [ "$FULL" = 1 ]; then
        [ "$FROM" -ge 0 ] && [ "$((\${size:-0} - FROM))" -ge "$MAX" ] && break
      elif [ "$FROM" -ge 0 ] && [ "\${size:-0}" -gt "$FROM" ] || [ "$(size_of "$GL_D/stderr")" != "$errors" ]; then
        # A moment more, so that lines come in bundles.
        [ -n "$seen" ] && [ "$GL_T" -gt "$seen" ] && break
        [ -n "$seen" ] || seen=$GL_T
      fi
      nap
      [ -e "$GL_D/exit" ] && break
      { read -r phase_now <"$GL_D/phase"; } 2>/dev/null
      [ "$phase_now" = "$phase" ] || break
      lives pid || [ "$STATE" = orphan ] || break
      now
    done
    [ "$WAIT" -gt 0 ] && state
    ;;
esac
NOW=$(date +%s)
printf '\\n%s\\n' ${START}
field now "$NOW"
newest() {
  [ "$STATE" = running ] || [ "$STATE" = orphan ] || return 0
  cd -- "$GL_CWD" 2>/dev/null || return 0
  command -v find >/dev/null 2>&1 || return 0
  limit=
  command -v timeout >/dev/null 2>&1 && limit='timeout 5'
  if [ "$#" -eq 0 ]; then
    set -- . -maxdepth 4 '(' -name '*.pt' -o -name '*.pth' -o -name '*.ckpt' -o -name '*.safetensors' -o -name '*.bin' ')'
  fi
  at=$($limit find "$@" -type f -exec ls -td -- '{}' + 2>/dev/null | head -n 1)
  [ -n "$at" ] && field artifactAgeSeconds "$(age_of "$at")"
  cd - >/dev/null 2>&1 || cd /
}
`;

const ANSWER = `
field state "$STATE"
[ -d "$GL_D" ] && field folder "$GL_D"
for name in phase end; do
  value=
  { read -r value <"$GL_D/$name"; } 2>/dev/null && field "$name" "$value"
done
code= ended= ran= oom_before= started= ticked=
{ read -r started <"$GL_D/started"; } 2>/dev/null
{ read -r ticked <"$GL_D/ticked"; } 2>/dev/null
{ read -r code ended ran <"$GL_D/exit"; } 2>/dev/null
field startedAt "$started"
now
case $STATE in running|orphan) [ -n "$ticked" ] && ran=$((GL_T - ticked)) ;; esac
field ranSeconds "$ran"
field exitCode "$code"
field endedAt "$ended"
field stdoutBytes "$(size_of "$GL_D/stdout")"
field stderrBytes "$(size_of "$GL_D/stderr")"
{ read -r oom_before <"$GL_D/oom"; } 2>/dev/null && oom_kills && field oomKills "$((GL_OOM - oom_before))"
tail=${TAIL_BYTES.ended}
case $STATE in
  running|orphan)
    tail=${TAIL_BYTES.running}
    a=$(age_of "$GL_D/stdout") b=$(age_of "$GL_D/stderr")
    [ -n "$b" ] && [ "$b" -lt "\${a:-999999999}" ] && a=$b
    field logAgeSeconds "$a"
    active=
    { read -r active <"$GL_D/busy"; } 2>/dev/null
    [ -n "$active" ] && field activeAgeSeconds "$((GL_T - active))"
    if command -v nvidia-smi >/dev/null 2>&1; then
      limit=
      command -v timeout >/dev/null 2>&1 && limit='timeout 5'
      field gpuPercent "$($limit nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null | tr -cd '0-9\\n' | sort -rn | head -n 1)"
    fi
    ;;
esac
case $STATE in
  running|orphan|ended)
    members
    set -- $GL_M
    field processes "$#"
    field cpuTicks "$GL_TICKS"
    ;;
esac
room "$GL_CWD"
field diskFreeKb "$GL_FREE_KB"
field inodesFree "$GL_FREE_INODES"
for name in stdout stderr; do
  [ -s "$GL_D/$name" ] && field "\${name}Tail" "$(tail -c "$tail" "$GL_D/$name" | base64 | tr -d '\\n')"
done
size=$(size_of "$LOG")
size=\${size:-0}
if [ "$FROM" -lt 0 ]; then FROM=$((size - MAX)); [ "$FROM" -ge 0 ] || FROM=0; fi
[ "$FROM" -le "$size" ] || FROM=$size
field size "$size"
field offset "$FROM"
printf '\\n%s\\n' gpu-lease-page
[ "$FROM" -lt "$size" ] && cut_of "$LOG" "$FROM" "$((size - FROM < MAX ? size - FROM : MAX))"
exit 0
`;
