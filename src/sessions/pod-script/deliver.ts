import { shellQuote } from '../../core/shell-quote.ts';
import { STATE } from './talk.ts';

/* One writer at a time. The kernel gives flock back when its owner dies; the folder is the way where flock is missing. */
const LOCK = `if command -v flock >/dev/null 2>&1; then
  exec 9>>"$d/lock" && flock -w 9 9 || { echo locked; exit 0; }
else
  n=0
  until mkdir "$d/lock.d" 2>/dev/null; do
    o=; { read -r o < "$d/lock.d/owner"; } 2>/dev/null
    if [ -n "$o" ] && { [ "$o" = $$ ] || ! kill -0 "$o" 2>/dev/null; }; then
      # Renaming is won by one: a lock that was taken anew in between is put back.
      if mv "$d/lock.d" "$d/lock.$$" 2>/dev/null; then
        q=; { read -r q < "$d/lock.$$/owner"; } 2>/dev/null
        [ "$q" = "$o" ] && rm -rf "$d/lock.$$" || mv "$d/lock.$$" "$d/lock.d"
      fi
    fi
    n=$((n+1)); [ $n -gt 180 ] && { echo locked; exit 0; }
    sleep 0.05 2>/dev/null || sleep 1
  done
  echo $$ > "$d/lock.d/owner"
  trap 'rm -rf "$d/lock.d"' EXIT
fi
`;

/*
 * Sets reads: yes, when something in the foreground waits in a read of the terminal; no, when all of it does something
 * else; unknown, when a program waits for several things at once or the machine does not tell.
 * read is call 0 or 63, readv 19 or 65, by the kind of processor; none of the four waits as anything else.
 */
const READS = `reads() {
  reads=no found=
  [ -r /proc/self/wchan ] || { reads=unknown; return; }
  for p in /proc/[0-9]*/stat; do
    l=; { IFS= read -r l < "$p"; } 2>/dev/null
    set -- \${l##*) }
    [ "\${3:-}" = "$fg" ] || continue
    found=1 p=\${p%/stat}
    for q in "$p"/task/*; do
      l=; { IFS= read -r l < "$q/stat"; } 2>/dev/null
      set -- \${l##*) }
      [ "\${1:-}" = S ] || continue
      l=; { IFS= read -r l < "$q/wchan"; } 2>/dev/null
      case $l in
        *tty_read*|wait_woken)
          l=; { read -r l < "$q/syscall"; } 2>/dev/null
          set -- $l
          case \${1:-} in
            ''|running) reads=unknown;;
            0|63|19|65) for o in "/proc/$pid/fd/0" /dev/tty; do [ "$p/fd/$(($2))" -ef "$o" ] && { reads=yes; return; }; done;;
          esac;;
        ''|0|*poll*|*select*|ep_*|*uring*|*sigtimedwait*) reads=unknown;;
      esac
    done
  done
  [ -n "$found" ] || reads=unknown
}
`;

/**
 * Defines \`deliver\`, which puts one write into a session, whole or not at all, and must run in a shell of its own. It
 * prints \`command <offset>\`, \`typed <running command or -> <shell|program> <offset>\`, \`unread\` (a command runs and reads
 * nothing, so nothing was typed), \`closed\`, \`lost\`, \`gone\`, \`locked\`, \`short\` (not all of the input arrived, nothing
 * was typed), \`long_line\`, or \`unclear\` (an earlier try with this id broke off in the middle).
 */
export const DELIVER_LIBRARY = `nl='
'
state() {
${STATE}run=-; [ "$typed" != "$ended" ] && run=$typed
}
${READS}
# Nothing was typed yet, so a later try may begin anew. Not every shell says why it could not write; cat does.
unwritten() {
  rm -f "$f" "$f.n" "$w"
  [ -z "$bytes" ] || rm -f "$t"
  printf '%4096s' x | cat > "$w.n"
  rm -f "$w.n"
  exit 1
}
deliver() {
umask 077
[ -d "$d" ] || { echo gone; exit 0; }
f=$d/c/$id.sh w=$d/c/$id
if [ -n "$bytes" ]; then
  t=$f.$$; cat > "$t"
  [ $(($(wc -c < "$t"))) = "$bytes" ] || { rm -f "$t"; echo short; exit 0; }
fi
${LOCK}state
[ "$st" = gone ] && { echo gone; exit 0; }
if [ -e "$w.at" ]; then cat "$w.at"; exit 0; fi
if [ -e "$w" ]; then echo unclear; exit 0; fi
[ "$st" = closed ] || [ "$st" = lost ] && { echo $st; exit 0; }
[ -n "$at" ] || at=$(($(wc -c < "$d/out")))
[ $terminal = pty ] && erase='\\025' || erase=
tries=0
while [ -n "$isText" ] && [ "$st" = busy ] && [ "$terminal" = pty ]; do
  if [ "$started" != "$typed" ] && [ "$run" != - ]; then reads=no; else reads; fi
  # What reads may be the shell, whose command has just ended: it was not the shell if the command has not ended now.
  state
  [ "$st" = busy ] || break
  [ $reads = unknown ] && [ $tries -lt 4 ] && [ "$fg" = "$group" ] && reads=no
  if [ $reads != no ] && [ "$run" != - ]; then
    : > "$d/feeding"
    ending=; { read -r ending < "$d/ending"; } 2>/dev/null
    [ "$ending" = "$run" ] || break
    rm -f "$d/feeding"
  elif [ $reads != no ]; then break
  fi
  # A program that is just about to ask, or to end, is given a moment.
  tries=$((tries+1))
  [ $tries -ge 8 ] && { [ -z "$bytes" ] || rm -f "$t"; echo unread; exit 0; }
  sleep 0.1 2>/dev/null || sleep 1
  state
done
[ "$st" = closed ] || [ "$st" = lost ] && { rm -f "$d/feeding"; echo $st; exit 0; }
if [ -n "$wrapper" ] && [ $st = idle ]; then
  if [ -n "$bytes" ]; then mv "$t" "$f" || unwritten; else printf %s "$input" > "$f" || unwritten; fi
  [ -z "$secret" ] || { { printf 'command rm -f %s\\n' "$qw.sh"; cat "$f"; } > "$f.n" && mv "$f.n" "$f" || unwritten; }
  { printf '\\n' >> "$f"; } && printf %s "$wrapper" > "$w" || unwritten
  if [ -e "$d/raw" ]; then rm -f "$d/raw"; [ $terminal = pty ] && { printf '\\003' 1<>"$d/in"; sleep 0.2; }; fi
  printf %s "$id" > "$d/typed"
  printf "$erase"' . %s\\n' "$qw" 1<>"$d/in"
  echo "command $at" > "$w.at"; echo "command $at"
  exit 0
fi
if [ -n "$isLongLine" ]; then
  case " $(stty -a < "/proc/$pid/fd/0" 2>/dev/null)" in
    *[\\ \\;]icanon*) rm -f "$d/feeding"; [ -z "$bytes" ] || rm -f "$t"; echo long_line; exit 0;;
  esac
fi
if [ -n "$bytes" ]; then mv "$t" "$f" || unwritten; else printf %s "$input" > "$f" || unwritten; fi
: > "$w"
if [ -n "$isInterrupt" ]; then
  # An interrupt empties the terminal's queue: a command on its way must have begun.
  n=0; while [ "$run" != - ] && [ "$started" != "$typed" ] && [ $n -lt 100 ]; do
    sleep 0.03 2>/dev/null || sleep 1; n=$((n+1)); { read -r started < "$d/started"; } 2>/dev/null
  done
fi
to=program; [ $st = idle ] && to=shell
if [ "$run" = - ]; then : > "$d/raw"; elif [ -n "$isText" ]; then : > "$d/feeding"; fi
if [ "$terminal" != pty ] && [ -n "$signal" ]; then
  kill -s "$signal" -- -$(($(ps -o pgid= -p "$pid"))) 2>/dev/null
else
  [ -z "$newline" ] || printf '\\n' >> "$f"
  was=
  [ -n "$secret" ] && [ "$terminal" = pty ] && { was=$(stty -a < "/proc/$pid/fd/0" 2>/dev/null); stty -echo < "/proc/$pid/fd/0" 2>/dev/null; }
  # A program that does not read must not hold us; the lock goes with the typing.
  { cat "$f" 1<>"$d/in" 2>/dev/null; [ ! -e "$d/feeding" ] || mv "$d/feeding" "$d/fed" 2>/dev/null; } & c=$!
  n=0; while kill -0 $c 2>/dev/null && [ $n -lt 200 ]; do sleep 0.01 2>/dev/null || sleep 1; n=$((n+1)); done
  case " $was " in *[\\ \\;]echo[\\ \\;]*) sleep 0.2 2>/dev/null; stty echo < "/proc/$pid/fd/0" 2>/dev/null;; esac
fi
rm -f "$f"
echo "typed $run $to $at" > "$w.at"; echo "typed $run $to $at"
exit 0
}
`;

export interface Delivery {
  readonly folder: string;
  /** Names this write; asking twice types once. */
  readonly writeId: string;
  /** The wrapper that a typed line sources; absent: never a command, always typed. */
  readonly wrapper?: string;
  /** Absent: so many bytes are on stdin. */
  readonly input?: string;
  readonly inputBytes: number;
  /** Where the transcript ended a moment ago, where that is known. */
  readonly seenTo: number | undefined;
  /** Text for whatever reads, in contrast to a key. */
  readonly isText: boolean;
  readonly newline: boolean;
  readonly secret: boolean;
  /** Signal in place of the input where there is no terminal. */
  readonly signal?: string | undefined;
  readonly isInterrupt: boolean;
  /** A line of more than a terminal takes: typed only to a program that reads keys, not lines. */
  readonly isLongLine: boolean;
}

/** One line that calls \`deliver\` of the library for one write. */
export function deliverCall(delivery: Delivery): string {
  const { folder, writeId, wrapper = '', input, inputBytes, seenTo, signal = '' } = delivery;
  const flag = (value: boolean): string => (value ? '1' : '');
  const words = {
    d: folder,
    id: writeId,
    qw: shellQuote(`${folder}/c/${writeId}`),
    wrapper,
    input: input ?? '',
    bytes: input === undefined ? String(inputBytes) : '',
    at: seenTo === undefined ? '' : String(seenTo),
    isText: flag(delivery.isText),
    newline: flag(delivery.newline),
    secret: flag(delivery.secret),
    signal,
    isInterrupt: flag(delivery.isInterrupt),
    isLongLine: flag(delivery.isLongLine),
  };
  const assignments = Object.entries(words).map(
    // A line break can only stand inside single quotes here.
    ([name, value]) => `${name}=${shellQuote(value).replaceAll('\n', `'"$nl"'`)}`,
  );
  return `${assignments.join(' ')}; deliver`;
}

/** Reads one request a line: a word that comes back as \`=word\` on a line of its own, after what the request printed. */
export const WRITER_SCRIPT = `LC_ALL=C
${DELIVER_LIBRARY}
while IFS=' ' read -r k q; do
  r=$(eval "$q" 2>&1 </dev/null)
  printf '%s\\n=%s\\n' "$r" "$k"
done
`;
