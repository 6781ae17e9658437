import { shellQuote } from '../../core/shell-quote.ts';

const header = (folder: string): string => `d=${shellQuote(folder)}\n`;

/**
 * Sets st: idle, busy, closed, lost, gone; and typed, ended, pid, code. \`lost\`: the machine started anew, or the shell
 * vanished without leaving an exit status; \`gone\`: no such folder.
 */
const STATE = `typed= started= ended= pid= born= boot= code= now= l= st=
if [ ! -d "$d" ]; then st=gone; else
{ read -r pid born boot < "$d/pid"; } 2>/dev/null
{ read -r typed < "$d/typed"; read -r started < "$d/started"; read -r ended < "$d/ended"; read -r code < "$d/exit"; read -r terminal < "$d/terminal"; } 2>/dev/null
n=0; while [ -z "$ended" ] && [ $n -lt 20 ]; do n=$((n+1)); { read -r ended < "$d/ended"; } 2>/dev/null; done
{ IFS= read -r now < /proc/sys/kernel/random/boot_id; } 2>/dev/null
if [ -e "$d/exit" ]; then st=closed
elif [ -z "$pid" ]; then st=lost
elif [ -r /proc/self/stat ]; then
  { IFS= read -r l < "/proc/$pid/stat"; } 2>/dev/null
  set -- \${l##*) }
  if [ -z "$l" ] || [ "$boot" != "$now" ] || [ "\${20}" != "$born" ] || [ "$1" = Z ]; then st=lost
  elif [ "$typed" != "$ended" ]; then st=busy
  elif [ "$terminal" = pty ] && [ "$3" != "$6" ]; then st=busy
  else st=idle; fi
elif ! kill -0 "$pid" 2>/dev/null; then st=lost
elif [ "$typed" != "$ended" ]; then st=busy
else st=idle; fi
fi
`;

/** First line: \`<state> <running command or -> <exit code or -> <size> <key or -> <cwd, to the end>\`; then bytes from \`offset\`. */
export function lookScript(folder: string, offset: number, maxBytes: number): string {
  return `${header(folder)}${STATE}
run=-; [ "$typed" != "$ended" ] && [ -n "$typed" ] && run=$typed
# The exit status is written before the mark at the end of the transcript.
size=0; [ -f "$d/out" ] && size=$(wc -c < "$d/out")
key=-; { read -r key < "$d/key"; } 2>/dev/null
at=$(readlink "/proc/$pid/cwd" 2>/dev/null)
echo $st $run \${code:--} $((size)) \${key:--} "$at"
[ ${maxBytes} -gt 0 ] && [ ${offset} -lt $((size)) ] && tail -c +${offset + 1} "$d/out" 2>/dev/null | head -c ${maxBytes}
exit 0
`;
}

/** New bytes as they come. Ends when nobody reads any more, or at once where the transcript is gone. */
export function followScript(folder: string, offset: number): string {
  return `${header(folder)}
case $(tail --version 2>/dev/null) in *coreutils*) exec tail -s 0.05 -c +${offset + 1} -f "$d/out";; esac
exec tail -c +${offset + 1} -f "$d/out"
`;
}

/* One writer at a time. The kernel gives flock back when its owner dies; the folder is the way where flock is missing. */
const LOCK = `if command -v flock >/dev/null 2>&1; then
  exec 9>>"$d/lock" && flock -w 20 9 || { echo locked; exit 0; }
else
  n=0
  until mkdir "$d/lock.d" 2>/dev/null; do
    o=; { read -r o < "$d/lock.d/owner"; } 2>/dev/null
    if [ -n "$o" ] && ! kill -0 "$o" 2>/dev/null; then
      # Renaming is won by one: a lock that was taken anew in between is put back.
      if mv "$d/lock.d" "$d/lock.$$" 2>/dev/null; then
        w=; { read -r w < "$d/lock.$$/owner"; } 2>/dev/null
        [ "$w" = "$o" ] && rm -rf "$d/lock.$$" || mv "$d/lock.$$" "$d/lock.d"
      fi
    fi
    n=$((n+1)); [ $n -gt 400 ] && { echo locked; exit 0; }
    sleep 0.05 2>/dev/null || sleep 1
  done
  echo $$ > "$d/lock.d/owner"
  trap 'rm -rf "$d/lock.d"' EXIT
fi
`;

const GONE = `[ "$st" = gone ] && { echo gone; exit 0; }
`;

export interface Delivery {
  readonly folder: string;
  /** Names this write; asking twice types once. */
  readonly writeId: string;
  /** The wrapper that a typed line sources; absent: never a command, always typed. */
  readonly wrapper?: string;
  /** Bytes on stdin. */
  readonly inputBytes: number;
  readonly input?: string;
  readonly newline: boolean;
  readonly secret: boolean;
  /** Signal in place of the input where there is no terminal. */
  readonly signal?: string | undefined;
  readonly isInterrupt: boolean;
  /** A line of more than a terminal takes: typed only to a program that reads keys, not lines. */
  readonly isLongLine: boolean;
}

/**
 * Puts one write into the session, whole or not at all. Prints \`command <offset>\`, \`typed <running command or -> <offset>\`,
 * \`closed\`, \`lost\`, \`gone\`, \`locked\`, \`short\` (not all of the input arrived, nothing was typed), \`long_line\`, or
 * \`unclear\` (an earlier try with this id broke off in the middle).
 */
export function deliverScript(delivery: Delivery): string {
  const {
    folder,
    writeId,
    wrapper,
    inputBytes,
    input,
    newline,
    secret,
    signal,
    isInterrupt,
    isLongLine,
  } = delivery;
  const file = shellQuote(`${folder}/c/${writeId}.sh`);
  const store = input === undefined ? `cat > ${file}` : `printf %s ${shellQuote(input)} > ${file}`;
  const line = shellQuote(` . ${shellQuote(`${folder}/c/${writeId}`)}`);
  return `${header(folder)}umask 077
[ -d "$d" ] || { echo gone; exit 0; }
f=${file} q_f=${shellQuote(file)} w="$d/c/${writeId}"
${
  input === undefined
    ? `t="$f.$$"; cat > "$t"
[ $(($(wc -c < "$t"))) = ${inputBytes} ] || { rm -f "$t"; echo short; exit 0; }`
    : ''
}
${LOCK}${STATE}${GONE}
if [ -e "$w.at" ]; then cat "$w.at"; exit 0; fi
if [ -e "$w" ]; then echo unclear; exit 0; fi
[ "$st" = closed ] || [ "$st" = lost ] && { echo $st; exit 0; }
size=$(($(wc -c < "$d/out")))
${input === undefined ? 'mv "$t" "$f"' : store}
${
  wrapper === undefined
    ? ''
    : `if [ $st = idle ]; then
  ${secret ? '{ printf "command rm -f %s\\n" "$q_f"; cat "$f"; } > "$f.n"; mv "$f.n" "$f"' : ':'}
  printf '\\n' >> "$f"
  printf %s ${shellQuote(wrapper)} > "$w"
  [ $terminal = pty ] && erase='\\025' || erase=
  if [ -e "$d/raw" ]; then rm -f "$d/raw"; [ $terminal = pty ] && { printf '\\003' 1<>"$d/in"; sleep 0.2; }; fi
  printf %s ${writeId} > "$d/typed"
  printf "$erase"'%s\\n' ${line} 1<>"$d/in"
  echo "command $size" > "$w.at"; echo "command $size"
  exit 0
fi
`
}run=-; [ "$typed" != "$ended" ] && run=$typed
${
  isLongLine
    ? `case " $(stty -a < "/proc/$pid/fd/0" 2>/dev/null)" in *[\\ \\;]icanon*) rm -f "$f"; echo long_line; exit 0;; esac`
    : ''
}
: > "$w"
${
  isInterrupt
    ? `# An interrupt empties the terminal's queue: a command on its way must have begun.
n=0; while [ "$run" != - ] && [ "$started" != "$typed" ] && [ $n -lt 100 ]; do
  sleep 0.03 2>/dev/null || sleep 1; n=$((n+1)); { read -r started < "$d/started"; } 2>/dev/null
done`
    : ''
}
[ "$run" = - ] && : > "$d/raw"
if [ "$terminal" != pty ] && ${signal === undefined ? 'false' : 'true'}; then
  kill -s ${signal ?? 'INT'} -- -$(($(ps -o pgid= -p "$pid"))) 2>/dev/null
else
  ${newline ? `printf '\\n' >> "$f"` : ':'}
  ${
    secret
      ? `[ "$terminal" = pty ] && { was=$(stty -a < /proc/$pid/fd/0 2>/dev/null); stty -echo < /proc/$pid/fd/0 2>/dev/null; }`
      : ':'
  }
  # A program that does not read must not hold us; the lock goes with the typing.
  cat "$f" 1<>"$d/in" 2>/dev/null & c=$!
  n=0; while kill -0 $c 2>/dev/null && [ $n -lt 200 ]; do sleep 0.01 2>/dev/null || sleep 1; n=$((n+1)); done
  ${
    secret
      ? `case " $was " in *[\\ \\;]echo[\\ \\;]*) sleep 0.2 2>/dev/null; stty echo < /proc/$pid/fd/0 2>/dev/null;; esac`
      : ':'
  }
fi
rm -f "$f"
echo "typed $run $size" > "$w.at"; echo "typed $run $size"
exit 0
`;
}

/** Prints \`busy\`, or the pid of the shell (0 when there is none) to end it by. */
export function beforeCloseScript(folder: string, force: boolean): string {
  return `${header(folder)}${STATE}
[ "$st" = busy ] && ${force ? 'false' : 'true'} && { echo busy; exit 0; }
case $st in idle|busy) kill -HUP "$pid" 2>/dev/null; echo "$pid" "\${code:--}";; *) echo 0 "\${code:--}";; esac
`;
}

export function removeScript(folder: string): string {
  return `rm -rf ${shellQuote(folder)}\n`;
}
