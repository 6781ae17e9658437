import { Buffer } from 'node:buffer';
import { InputError } from '../../core/errors.ts';
import { bootPreamble, setupPart } from '../boot-script.ts';
import { environmentScript } from './environment.ts';
import { type TimerTerms, timerScript } from './timer-script.ts';

/** What Vast.ai takes in all; its documentation also names smaller numbers, its servers this one. */
const ONSTART_LIMIT_BYTES = 16_384;

export interface OnstartTerms extends TimerTerms {
  readonly deadlineSeconds: number;
  readonly sshPublicKey: string;
  /** Names of the variables that were asked for: sessions see them too. */
  readonly envNames?: readonly string[] | undefined;
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
    [
      opening,
      preamble(terms),
      environmentScript(terms.envNames ?? []),
      script,
      templateOnstart,
    ].join('');
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
  return bootPreamble({ ...terms, timer: timerScript(terms), first: 'touch "$gl/.no_auto_tmux"' });
}
