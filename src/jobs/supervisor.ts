import type { JobId } from '../core/ids.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { jobShell } from './pod-shell.ts';

export interface SupervisorPlan {
  readonly jobId: JobId;
  /** Absolute folder on the pod. */
  readonly cwd: string;
  readonly limitSeconds: number;
  readonly hasSmoke: boolean;
  readonly smokeLimitSeconds: number;
  /** Under this the job is ended: its next checkpoint would be a torn one. */
  readonly diskFloorBytes: number;
  readonly graceSeconds: number;
}

/**
 * The program that looks after one job on the pod when nobody else does. Reads the frozen files `command`, `smoke` and
 * `env` of the job's folder, writes `pid`, `boot`, `started`, `phase`, `stdout`, `stderr`, `supervisor`, and at last
 * `end` (why) and `exit` ("code time"). Secret values are the first line of its input: it keeps them in its memory, and hands
 * them to what becomes the command alone.
 */
export function supervisorScript(plan: SupervisorPlan): string {
  return [
    jobShell(plan.jobId),
    `GL_CWD=${shellQuote(plan.cwd)}`,
    `GL_LIMIT=${plan.limitSeconds} GL_SMOKE=${plan.hasSmoke ? 1 : 0} GL_SMOKE_LIMIT=${plan.smokeLimitSeconds}`,
    `GL_FLOOR_KB=${Math.ceil(plan.diskFloorBytes / 1024)} GL_GRACE=${plan.graceSeconds}`,
    SUPERVISE,
  ].join('\n');
}

/** Becomes the command: enters the folder, takes the environment, then `exec`s, so that its pid is the process group. */
export function runScript(plan: Pick<SupervisorPlan, 'jobId' | 'cwd'>): string {
  return `${jobShell(plan.jobId)}\nGL_CWD=${shellQuote(plan.cwd)}\n${RUN}`;
}

const SUPERVISE = `
umask 077
IFS= read -r GL_SECRETS
exec </dev/null
# Handlers, not "ignore": an ignored signal would stay ignored in the command for good.
trap : HUP INT QUIT TERM
say() { printf '%s %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$GL_D/supervisor"; }
finish() {
  code=$1
  [ -n "$2" ] && once end "$2"
  if [ -e "$GL_D/end" ]; then
    sweep "$GL_GRACE" || say "Some processes did not end:$GL_M"
  else
    members
    [ -z "$GL_M" ] || say "The command ended and left processes running:$GL_M"
  fi
  read -r why 2>/dev/null <"$GL_D/end" || why=exit
  if [ -e "$GL_D/phase" ]; then
    say "Ended: $why, exit code $code."
  else
    say "Not started: $why."
  fi
  # Room kept for these last lines, so that a full disk cannot swallow the exit code.
  rm -f "$GL_D/reserve"
  tries=0
  ran=
  { read -r began <"$GL_D/ticked"; } 2>/dev/null && now && ran=$((GL_T - began))
  until once exit "$code $(date +%s) $ran"; do
    tries=$((tries + 1))
    [ "$tries" -lt 3600 ] || break
    sleep 1
  done
  exit 0
}
disk_low() {
  for place in "$GL_CWD" "$GL_D"; do
    room "$place"
    if [ -n "$GL_FREE_KB" ] && [ "$GL_FREE_KB" -lt "$GL_FLOOR_KB" ]; then
      say "DISK: $GL_FREE_KB KiB free, the job needs at least $GL_FLOOR_KB KiB."
      return 0
    fi
    # Some file systems make inodes as they need them and say 0 of 0.
    case $GL_FREE_INODES in ''|*[!0-9]*) continue ;; esac
    if [ "$GL_FREE_INODES" -eq 0 ] && ! true 2>/dev/null >"$GL_D/.probe"; then
      say "DISK: no inodes free."
      return 0
    fi
    rm -f "$GL_D/.probe"
  done
  return 1
}
# Beside the command: the deadline ($1 seconds), the disk gate, and when the job last used a processor.
watch() {
  now
  began=$GL_T beat=0 last=0
  while :; do
    sleep 1
    now
    if [ "$((GL_T - began))" -ge "$1" ]; then
      say "The time limit of $1 s is over."
      once end "$2"
      sweep "$GL_GRACE"
      return
    fi
    beat=$((beat + 1))
    if [ "$((beat % 5))" -eq 1 ] && disk_low; then
      once end disk_full
      sweep "$GL_GRACE"
      return
    fi
    if [ "$((beat % 10))" -eq 5 ]; then
      members
      [ "$((GL_TICKS - last))" -gt -50 ] && [ "$((GL_TICKS - last))" -lt 50 ] || printf '%s\\n' "$GL_T" >"$GL_D/busy"
      last=$GL_TICKS
    fi
  done
}
own_group() {
  # Only on these lines: nothing else that runs here has the secrets in its environment.
  if command -v setsid >/dev/null 2>&1; then
    GPU_LEASE_SECRETS=$GL_SECRETS setsid "$@"
  elif command -v perl >/dev/null 2>&1; then
    GPU_LEASE_SECRETS=$GL_SECRETS perl -MPOSIX -e 'POSIX::setsid(); exec { $ARGV[0] } @ARGV' "$@"
  elif command -v python3 >/dev/null 2>&1; then
    GPU_LEASE_SECRETS=$GL_SECRETS python3 -I -c 'import os,sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
  else
    say "No way to make a process group here: processes are found by their environment alone."
    GPU_LEASE_SECRETS=$GL_SECRETS GPU_LEASE_NO_GROUP=1 "$@"
  fi
}
# Runs file $1 at most $2 seconds; $3 is the reason when they are over. Sets GL_CODE.
phase() {
  [ -e "$GL_D/end" ] && { GL_CODE=143; return; }
  put phase "$1"
  put started "$(date +%s)"
  now
  put ticked "$GL_T"
  put busy "$GL_T"
  watch "$2" "$3" &
  watcher=$!
  own_group sh "$GL_D/run.sh" "$1" </dev/null >>"$GL_D/stdout" 2>>"$GL_D/stderr"
  GL_CODE=$?
  kill -KILL "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
}

boot
put boot "$GL_BOOT"
oom_kills
put oom "$GL_OOM"
true >>"$GL_D/stdout"
true >>"$GL_D/stderr"
head -c 16384 /dev/zero >"$GL_D/reserve" 2>/dev/null
birth "$$"
put pid "$$ $GL_B"
say "Started in $GL_CWD, limit $GL_LIMIT s, process $$."
[ -d "$GL_CWD" ] || finish 127 cwd_missing
disk_low && finish 3 disk_full
if [ "$GL_SMOKE" = 1 ]; then
  phase smoke "$GL_SMOKE_LIMIT" smoke_timed_out
  [ -e "$GL_D/end" ] && finish "$GL_CODE" ''
  if [ "$GL_CODE" -ne 0 ]; then
    say "The smoke command failed with exit code $GL_CODE, so the job was not run."
    finish "$GL_CODE" smoke_failed
  fi
  sweep 2
  say "The smoke command passed."
fi
phase command "$GL_LIMIT" timed_out
read -r why 2>/dev/null <"$GL_D/end" && [ "$why" = disk_full ] && GL_CODE=3
finish "$GL_CODE" ''
`;

const RUN = `
[ -n "\${GPU_LEASE_UMASK-}" ] && umask "$GPU_LEASE_UMASK"
unset GPU_LEASE_UMASK
if [ -z "\${GPU_LEASE_NO_GROUP-}" ]; then
  birth "$$"
  (umask 077; put group "$$ $GL_B")
fi
unset GPU_LEASE_NO_GROUP
cd -- "$GL_CWD" || exit 127
threads() {
  quota= period=
  if [ -r /sys/fs/cgroup/cpu.max ]; then
    read -r quota period </sys/fs/cgroup/cpu.max
  elif [ -r /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
    read -r quota </sys/fs/cgroup/cpu/cpu.cfs_quota_us
    read -r period </sys/fs/cgroup/cpu/cpu.cfs_period_us
  fi
  case $quota in ''|max|-*) ;; *) printf '%s' "$(((quota + period - 1) / period))" ;; esac
}
if command -v bash >/dev/null 2>&1; then
  shell=$(command -v bash)
elif (set -o pipefail) 2>/dev/null; then
  shell=$(command -v sh)
else
  shell=
  printf '%s\\n' 'No bash here, and sh knows no pipefail: a failure in front of a pipe is not seen.' >>"$GL_D/supervisor"
fi
# From here on the environment, PATH too, belongs to the job: only positional parameters are ours.
set -- "$GL_D" "$GL_ID" "$1" "$(threads)" "$shell" "$(command -v sh)" "$(printf '%s' "\${GPU_LEASE_SECRETS-}" | base64 -d)"
unset shell GPU_LEASE_SECRETS
PYTHONUNBUFFERED=\${PYTHONUNBUFFERED-1}
export PYTHONUNBUFFERED
. "$1/env"
eval "$7"
if [ -n "$4" ]; then
  export OMP_NUM_THREADS="\${OMP_NUM_THREADS-$4}" MKL_NUM_THREADS="\${MKL_NUM_THREADS-$4}"
  export OPENBLAS_NUM_THREADS="\${OPENBLAS_NUM_THREADS-$4}" NUMEXPR_MAX_THREADS="\${NUMEXPR_MAX_THREADS-$4}"
fi
export GPU_LEASE_JOB="$2"
[ -n "$5" ] || exec "$6" "$1/$3"
exec "$5" -o pipefail "$1/$3"
`;
