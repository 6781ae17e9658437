import { Buffer } from 'node:buffer';
import { InputError } from '../../core/errors.ts';
import { shellQuote } from '../../core/shell-quote.ts';
import { type TimerTerms, timerScript } from './timer-script.ts';

/** What Vast.ai takes in all; its documentation also names smaller numbers, its servers this one. */
const ONSTART_LIMIT_BYTES = 16_384;
/** Relative to the home of the login. */
const FOLDER = '.gpu-lease';
export const DEADLINE_FILE = `${FOLDER}/deadline`;

export interface OnstartTerms extends TimerTerms {
  readonly deadlineSeconds: number;
  readonly sshPublicKey: string;
  readonly setup?: string | undefined;
  /** The boot script of the template, which one of ours would replace. */
  readonly templateOnstart?: string | undefined;
}

/**
 * The boot script: our key, the timer, the caller's setup (its output goes to `~/.gpu-lease/bootstrap.log`), then what the
 * template would have run, which may never end. It runs at every start of the container. Throws `too_large` with the number of
 * bytes that are left for setup, and `invalid_input` for a NUL.
 */
export function onstartOf(terms: OnstartTerms): string {
  const { setup = '', templateOnstart = '' } = terms;
  if (setup.includes('\0'))
    throw new InputError('invalid_input', 'setup holds a NUL character, which no script can.');
  // What reads the template's script is for its first line to say; without one Vast.ai decides, as it would have.
  const [first = ''] = templateOnstart.split('\n', 1);
  const opening = first.startsWith('#!') ? `${first}\n` : '';
  const parts = (script: string): string =>
    [opening, preamble(terms), script, templateOnstart].join('');
  const whole = parts(setup.trim() === '' ? '' : setupPart(setup));
  const bytes = Buffer.byteLength(whole);
  if (bytes <= ONSTART_LIMIT_BYTES) return whole;
  const left = ONSTART_LIMIT_BYTES - (bytes - Buffer.byteLength(setup));
  throw new InputError(
    'too_large',
    `setup has ${Buffer.byteLength(setup)} bytes, but only ${Math.max(0, left)} fit: Vast.ai takes boot scripts of 16 KB.`,
    { hint: 'Keep setup short: bring long scripts over with sync_files and run them as a job.' },
  );
}

function preamble(terms: OnstartTerms): string {
  const key = shellQuote(terms.sshPublicKey.trim());
  const timer = timerScript(terms);
  const end = endMarker(timer);
  return `gl="\${HOME:-/root}"
(
umask 077
touch "$gl/.no_auto_tmux"
mkdir -p "$gl/.ssh" "$gl/${FOLDER}" && cd "$gl/${FOLDER}" || exit 0
grep -qxF ${key} ../.ssh/authorized_keys || printf '\\n%s\\n' ${key} >> ../.ssh/authorized_keys
[ -e started ] || date +%s > started
[ -e deadline ] || { echo ${terms.deadlineSeconds} > deadline.new && mv deadline.new deadline; }
cat > timer <<'${end}'
${timer}${end}
old=$(cat timer.pid)
if [ -n "$old" ] && tr '\\0' ' ' < "/proc/$old/cmdline" | grep -q gpu-lease-timer; then exit 0; fi
if command -v setsid; then setsid sh "$PWD/timer" gpu-lease-timer & else nohup sh "$PWD/timer" gpu-lease-timer & fi
) < /dev/null > /dev/null 2>&1
`;
}

/** Kept in a file, so that its own first line decides what reads it, and its end is not ours. */
function setupPart(setup: string): string {
  const end = endMarker(setup);
  return `(
cd "$gl" && umask 077
cat > ${FOLDER}/setup <<'${end}'
${setup}
${end}
chmod 700 ${FOLDER}/setup
case $(head -c 2 ${FOLDER}/setup) in
'#!') set -- "$gl/${FOLDER}/setup" ;;
*) if command -v bash > /dev/null; then set -- bash "$gl/${FOLDER}/setup"; else set -- sh "$gl/${FOLDER}/setup"; fi ;;
esac
: >> ${FOLDER}/bootstrap.log
umask 022
if [ /proc/self/fd/1 -ef ${FOLDER}/bootstrap.log ]; then "$@" < /dev/null 2>&1; exit; fi
"$@" < /dev/null >> ${FOLDER}/bootstrap.log 2>&1
tail -c 20000 ${FOLDER}/bootstrap.log
)
`;
}

/** A line that `text` does not hold. */
function endMarker(text: string): string {
  let marker = 'GPU_LEASE_END';
  while (text.includes(marker)) marker += '_';
  return marker;
}
