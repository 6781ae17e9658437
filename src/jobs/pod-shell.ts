import type { JobId } from '../core/ids.ts';
import { POD_FOLDER } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';

/**
 * POSIX sh functions that every script about one job shares. After them `$GL_ID` and `$GL_D` (the job's folder) are set.
 * A process belongs to the job when it is in its process group or carries its token in its environment, so `setsid`,
 * `nohup` and double forks do not hide it. Zombies count as gone: in many containers nobody reaps them.
 */
export function jobShell(jobId: JobId): string {
  return `GL_ID=${shellQuote(jobId)}\nGL_D="${POD_FOLDER}/jobs/$GL_ID"\n${FUNCTIONS}`;
}

/** So much of the end of stdout and stderr comes with a look: while the job runs, and after it. */
export const TAIL_BYTES = { running: 4096, ended: 32_768 } as const;

/** Sizes and pages of logs of any length: nothing that lies before what is asked for is read, as some `wc` and `tail` do. */
export const FILE_FUNCTIONS = `
# Bytes of file $1; nothing where there is none.
size_of() { [ -e "$1" ] && set -- $(ls -dnL "$1" 2>/dev/null) && printf '%s' "\${5-}"; }
# $3 bytes of file $1 from offset $2.
cut_of() {
  dd if="$1" bs=65536 skip="$(($2 / 65536))" count="$(($3 / 65536 + 2))" 2>/dev/null |
    tail -c "+$(($2 % 65536 + 1))" | head -c "$3"
}
`;

const FUNCTIONS = `
nap() { sleep 0.2 2>/dev/null || sleep 1; }
# Sets GL_T to seconds that never jump, where the system has such a clock.
now() {
  GL_T=
  { read -r GL_T _ </proc/uptime; } 2>/dev/null
  if [ -n "$GL_T" ]; then GL_T=\${GL_T%%.*}; else GL_T=$(date +%s); fi
}
# Sets GL_B to the birth of process $1, or to nothing when it is gone or a zombie.
birth() {
  GL_B= GL_S=
  if [ -r /proc/self/stat ]; then
    { IFS= read -r GL_S </proc/"$1"/stat; } 2>/dev/null || return 1
    set -- $(printf '%s' "\${GL_S##*) }")
    case \${1-} in Z|X|x|'') return 1 ;; esac
    GL_B=\${20-}
  else
    GL_B=$(ps -o stat= -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _)
    case $GL_B in ''|Z*|_Z*) GL_B= ; return 1 ;; esac
    GL_B=\${GL_B#*_}
  fi
}
# Sets GL_BOOT to what changes whenever the machine or its container starts again.
boot() {
  GL_BOOT=
  { read -r GL_BOOT </proc/sys/kernel/random/boot_id; } 2>/dev/null
  birth 1
  GL_BOOT="\${GL_BOOT:-none}/\${GL_B:-none}"
}
# Sets GL_P and GL_PB to what file $1 says about a process, and answers whether that very process lives.
lives() {
  GL_P= GL_PB=
  { read -r GL_P GL_PB <"$GL_D/$1"; } 2>/dev/null || return 1
  [ -n "$GL_P" ] && birth "$GL_P" && [ "$GL_B" = "$GL_PB" ]
}
# Sets GL_M to the living processes of the job, GL_TICKS to the processor time they and their ended children used.
members() {
  GL_M= GL_TICKS=0 GL_G=
  if ! lives group && [ -n "$GL_P" ] && birth "$GL_P"; then GL_G=; else GL_G=$GL_P; fi
  if [ -r /proc/self/stat ]; then
    tokens=" "
    for f in $(carriers); do
      f=\${f#/proc/}
      tokens="$tokens\${f%/environ} "
    done
    for f in /proc/[0-9]*/stat; do
      GL_S=
      { IFS= read -r GL_S <"$f"; } 2>/dev/null || continue
      f=\${f#/proc/}
      f=\${f%/stat}
      case $tokens in
        *" $f "*) ;;
        *) case \${GL_S##*) } in ?" "*" $GL_G "*) ;; *) continue ;; esac ;;
      esac
      ticks_of "$f" \${GL_S##*) }
    done
  elif [ -n "$GL_G" ]; then
    GL_M=$(ps -A -o pid= -o pgid= -o stat= 2>/dev/null | while read -r p g s; do
      case $s in Z*) ;; *) [ "$g" = "$GL_G" ] && printf ' %s' "$p" ;; esac
    done)
  fi
}
# Environments that hold the token of the job. Some greps see nothing behind a NUL.
carriers() {
  if [ "$(printf 'a\\0b' | grep -c -F b)" = 1 ]; then
    grep -ls -F "GPU_LEASE_JOB=$GL_ID" /proc/[0-9]*/environ 2>/dev/null
  else
    for f in /proc/[0-9]*/environ; do
      { tr '\\0' '\\n' <"$f" | grep -q -x -F "GPU_LEASE_JOB=$GL_ID"; } 2>/dev/null && printf '%s\\n' "$f"
    done
  fi
}
ticks_of() {
  case $tokens in *" $1 "*) ;; *) [ -n "$GL_G" ] && [ "\${4-}" = "$GL_G" ] || return 0 ;; esac
  case \${2-} in Z|X|x|'') return 0 ;; esac
  GL_M="$GL_M $1"
  GL_TICKS=$((GL_TICKS + \${13:-0} + \${14:-0} + \${15:-0} + \${16:-0}))
}
# Ends every process of the job: TERM, $1 seconds of grace, KILL. Answers whether none is left.
sweep() {
  members
  [ -n "$GL_M" ] || return 0
  kill -TERM $GL_M 2>/dev/null
  kill -CONT $GL_M 2>/dev/null
  now
  until_=$((GL_T + $1))
  while [ "$GL_T" -lt "$until_" ]; do
    nap
    members
    [ -n "$GL_M" ] || return 0
    now
  done
  tries=0
  while [ "$tries" -lt 25 ]; do
    kill -KILL $GL_M 2>/dev/null
    nap
    members
    [ -n "$GL_M" ] || return 0
    tries=$((tries + 1))
  done
  return 1
}
# Writes $2 to file $1 of the job at once, over what is there.
put() { printf '%s\\n' "$2" 2>/dev/null >"$GL_D/$1.$$" && mv -f "$GL_D/$1.$$" "$GL_D/$1"; }
# The same, but the first writer wins.
once() {
  [ -e "$GL_D/$1" ] && return 0
  printf '%s\\n' "$2" 2>/dev/null >"$GL_D/$1.$$" || {
    # A full disk: this is what the room was kept for.
    rm -f "$GL_D/reserve"
    printf '%s\\n' "$2" 2>/dev/null >"$GL_D/$1.$$" || return 1
  }
  ln "$GL_D/$1.$$" "$GL_D/$1" 2>/dev/null || [ -e "$GL_D/$1" ] || mv "$GL_D/$1.$$" "$GL_D/$1"
  rm -f "$GL_D/$1.$$"
  [ -e "$GL_D/$1" ]
}
# Sets GL_FREE_KB and GL_FREE_INODES of folder $1; empty where the system does not say.
room() {
  GL_FREE_KB=$(df -Pk -- "$1" 2>/dev/null | column_before_percent)
  GL_FREE_INODES=$(df -Pi -- "$1" 2>/dev/null | column_before_percent)
}
column_before_percent() {
  read -r _ || return 0
  read -r row || return 0
  before=
  for word in $row; do
    case $word in
      *[0-9]%) printf '%s' "$before"; return 0 ;;
    esac
    before=$word
  done
}
oom_kills() {
  GL_OOM=0
  for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] || continue
    while read -r k v; do [ "$k" = oom_kill ] && GL_OOM=$v; done <"$f"
  done
}
${FILE_FUNCTIONS}`;
