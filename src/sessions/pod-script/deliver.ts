import { shellQuote } from '../../core/shell-quote.ts';
import { LOCK } from './lock.ts';
import { WRAPPER } from './shell.ts';
import { STATE } from './talk.ts';

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
 * Defines \`deliver\`, which puts one write into a session, whole or not at all, and \`unlock\`, which must come after it. It
 * sets \`say\` to \`command <offset>\`, \`typed <running command or -> <shell|program> <offset>\`, \`unread\` (a command runs and
 * reads nothing, so nothing was typed), \`closed\`, \`lost\`, \`gone\`, \`locked\`, \`short\` (not all of the input arrived, nothing
 * was typed), \`long_line\`, \`unclear\` (an earlier try with this id broke off in the middle), or nothing where the disk is
 * full, as stderr tells. Only builtins stand between a request and its typing: each process costs a millisecond.
 */
export const DELIVER_LIBRARY = `nl='
'
state() {
${STATE}run=-; [ "$typed" != "$ended" ] && run=$typed
}
${READS}${LOCK}
# Nothing was typed yet, so a later try may begin anew. Not every shell says why it could not write; cat does.
unwritten() {
  rm -f "$f" "$f.n" "$w"
  [ -z "$bytes" ] || rm -f "$t"
  printf '%4096s' x | cat > "$w.n"
  rm -f "$w.n"
  say=
}
# Whether the command of that id begins within three seconds.
begun() {
  n=0; while [ "$started" != "$1" ] && [ $n -lt 100 ]; do
    sleep 0.03 2>/dev/null || sleep 1; n=$((n+1)); { read -r started < "$d/started"; } 2>/dev/null
  done
  [ "$started" = "$1" ]
}
# For a line that was thrown away. One that comes after all runs no second time.
retype() { printf "$erase"' [ "$(command cat "$__gl_d/started")" = %s ] || . "$__gl_d/c/%s"\\n' "$1" "$1" 1<>"$d/in"; }
# A request names only what it has, since the shell that waits reads it byte by byte.
blank() { d= id= qw= nonce= shown= input= bytes= at= isText= newline= secret= signal= isInterrupt= isLongLine=; }
deliver() {
umask 077
say=gone again= qw=\${qw:-$d/c/$id}
[ -d "$d" ] || return
f=$d/c/$id.sh w=$d/c/$id
if [ -n "$bytes" ]; then
  t=$f.$$; cat > "$t"
  [ $(($(wc -c < "$t"))) = "$bytes" ] || { rm -f "$t"; say=short; return; }
fi
lock || { [ -z "$bytes" ] || rm -f "$t"; return; }
state
say=$st
[ "$st" = gone ] && return
if [ -e "$w.at" ]; then read -r say < "$w.at"; return; fi
if [ -e "$w" ]; then say=unclear; return; fi
[ "$st" = closed ] || [ "$st" = lost ] && return
[ -n "$at" ] || at=$(($(wc -c < "$d/out")))
[ "$terminal" = pty ] && erase='\\025' || erase=
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
  [ $tries -ge 8 ] && { [ -z "$bytes" ] || rm -f "$t"; say=unread; return; }
  sleep 0.1 2>/dev/null || sleep 1
  state
done
[ "$st" = closed ] || [ "$st" = lost ] && { rm -f "$d/feeding"; say=$st; return; }
if [ -n "$nonce" ] && [ "$st" = idle ]; then
  if [ -n "$bytes" ]; then { mv "$t" "$f" && printf '\\n' >> "$f"; } || { unwritten; return; }
  else printf '%s\\n' "$input" > "$f" || { unwritten; return; }; fi
  [ -z "$secret" ] || { { printf 'command rm -f %s\\n' "$qw.sh"; cat "$f"; } > "$f.n" && mv "$f.n" "$f"; } || { unwritten; return; }
  ${WRAPPER} > "$w" || { unwritten; return; }
  if [ -e "$d/raw" ]; then rm -f "$d/raw"; [ "$terminal" = pty ] && { printf '\\003' 1<>"$d/in"; sleep 0.2; again=1; }; fi
  printf %s "$id" 1<>"$d/typed"
  printf "$erase"' . %s\\n' "$qw" 1<>"$d/in"
  # A shell that is slow to throw the half line away throws this one away with it.
  [ -z "$again" ] || { begun "$id" || retype "$id"; }
  say="command $at"
  printf '%s\\n' "$say" > "$w.at"
  return
fi
if [ -n "$isLongLine" ]; then
  case " $(stty -a < "/proc/$pid/fd/0" 2>/dev/null)" in
    *[\\ \\;]icanon*) rm -f "$d/feeding"; [ -z "$bytes" ] || rm -f "$t"; say=long_line; return;;
  esac
fi
if [ -n "$bytes" ]; then mv "$t" "$f" || { unwritten; return; }; else printf %s "$input" > "$f" || { unwritten; return; }; fi
: > "$w"
if [ -n "$isInterrupt" ]; then
  # An interrupt empties the terminal's queue: a command on its way must have begun.
  [ "$run" = - ] || begun "$typed"
  # One that has not is dropped with the queue, and nobody would ever see its end: it is typed again, to do nothing but end.
  if [ "$terminal" = pty ] && [ "$run" != - ] && [ "$started" != "$typed" ]; then
    printf 'return 130\\n' > "$d/c/$run.sh.n" && mv "$d/c/$run.sh.n" "$d/c/$run.sh" && again=1
    { read -r started < "$d/started"; } 2>/dev/null
    [ "$started" != "$typed" ] || again=
  fi
fi
to=program; [ "$st" = idle ] && to=shell
if [ "$run" = - ]; then : > "$d/raw"; elif [ -n "$isText" ]; then : > "$d/feeding"; fi
if [ "$terminal" != pty ] && [ -n "$signal" ]; then
  kill -s "$signal" -- -$(($(ps -o pgid= -p "$pid"))) 2>/dev/null
  rm -f "$f"
else
  [ -z "$newline" ] || printf '\\n' >> "$f"
  was=
  [ -n "$secret" ] && [ "$terminal" = pty ] && { was=$(stty -a < "/proc/$pid/fd/0" 2>/dev/null); stty -echo < "/proc/$pid/fd/0" 2>/dev/null; }
  # A program that does not read must not hold us; the lock goes with the typing. A file may be opened late. It may hold a
  # secret, so it is gone before it is read.
  { rm -f "$f"; cat 1<>"$d/in"; [ ! -e "$d/feeding" ] || mv "$d/feeding" "$d/fed"; } <"$f" >/dev/null 2>&1 & c=$!
  n=0; while kill -0 $c 2>/dev/null && [ $n -lt 200 ]; do sleep 0.01 2>/dev/null || sleep 1; n=$((n+1)); done
  case " $was " in *[\\ \\;]echo[\\ \\;]*) sleep 0.2 2>/dev/null; stty echo < "/proc/$pid/fd/0" 2>/dev/null;; esac
fi
if [ -n "$again" ]; then
  sleep 0.1 2>/dev/null
  retype "$run"
fi
say="typed $run $to $at"
printf '%s\\n' "$say" > "$w.at"
}
`;

export interface Delivery {
  readonly folder: string;
  /** Names this write; asking twice types once. */
  readonly writeId: string;
  /** What the wrapper that a typed line sources says of its command; absent: never a command, always typed. */
  readonly command?: { readonly nonce: string; readonly shown: string };
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
  const { folder, writeId, command, input, inputBytes, seenTo, signal = '' } = delivery;
  const place = `${folder}/c/${writeId}`;
  const flag = (value: boolean): string => (value ? '1' : '');
  const words = {
    d: folder,
    id: writeId,
    // Bare where it needs no quotes, and then the pod knows it.
    qw: shellQuote(place) === place ? '' : shellQuote(place),
    nonce: command?.nonce ?? '',
    shown: command === undefined ? '' : shellQuote(command.shown),
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
  const assignments = Object.entries(words)
    .filter(([, value]) => value !== '')
    // A line break can only stand inside single quotes here.
    .map(([name, value]) => `${name}=${shellQuote(value).replaceAll('\n', `'"$nl"'`)}`);
  return `${assignments.join(' ')}; deliver`;
}

/** A script of its own for one write: what it says is the last line. */
export function deliverScript(delivery: Delivery): string {
  return `${DELIVER_LIBRARY}blank
${deliverCall(delivery)}
printf '%s\\n' "$say"
unlock
`;
}

/** Reads one request a line: a word that comes back as \`=word\` on a line of its own, after what the request said. */
export const WRITER_SCRIPT = `LC_ALL=C
${DELIVER_LIBRARY}
while IFS=' ' read -r k q; do
  say=
  blank
  eval "$q" 2>&1 </dev/null
  printf '%s\\n=%s\\n' "$say" "$k"
  unlock
done
`;
