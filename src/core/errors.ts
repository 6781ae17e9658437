/** Every code this server can answer with, and the advice that goes with it. */
const HINTS = {
  invalid_input: 'Correct the named argument, then call again.',
  not_found: 'Call list_pods to see what exists, then use an id from there.',
  offer_gone: 'Call find_offer again and choose another offer.',
  path_outside_workspace:
    'Use a path inside the workspace, or ask the user to set GPU_LEASE_WORKSPACE.',
  path_missing: 'Check the path, then call again.',
  secret_refused: 'Remove the secret, or name the file in allowSecrets if the user agrees.',
  too_large: 'Send less in one call: put long scripts in a file and use sync_files.',
  unsupported: 'Choose another way; this one cannot work here.',
  config_missing: 'The operator must set the named variable and restart.',
  key_unusable: 'The user must mend the named key file or load it into the SSH agent.',
  insufficient_credit: 'Ask the user to add credit at the provider, or choose a cheaper offer.',
  auth_rejected: 'The provider refused the API key. Ask the operator.',
  state_unwritable: 'Make the state folder writable or set GPU_LEASE_HOME to one that is.',
  state_unreadable:
    'The record is kept as it is. Use the version of gpu-lease that wrote it, or report this.',
  no_capacity: 'Call find_offer and choose another offer.',
  rate_limited: 'Wait, then call again.',
  provider_unavailable: 'The provider did not answer. Try again in a minute.',
  provider_contract: 'The provider answered in an unknown shape. Report this.',
  outcome_unknown: 'A pod may exist. Call list_pods before creating another.',
  teardown_unconfirmed: 'Billing may go on. Call destroy again.',
  price_changed: 'Call find_offer again and show the user the new price.',
  pod_not_ready: 'Call get_pod with waitFor "ready", then call again.',
  pod_gone: 'Call report for what happened, or find_offer for another.',
  ssh_unreachable:
    'It may be starting, be off, or have another address or port. Call get_pod, then retry.',
  ssh_refused: 'The pod does not accept our key. Check its user, image and start command.',
  host_key_changed: 'The machine behind this address is not the one we knew. Ask the user.',
  link_lost: 'The link broke and the outcome is unknown. Look at the pod before repeating.',
  session_lost: 'Open a new session with session_open. Jobs keep running: use job_wait.',
  session_closed: 'Open a new session with session_open. The transcript stays readable.',
  session_busy: 'A command is running. Read with session_read, or send key "ctrl-c".',
  command_timeout: 'The command was ended and its processes are gone. Use job_start for long work.',
  remote_failed: 'The pod could not do it. Read the quoted output, correct, then call again.',
  permission_denied:
    'Make it readable on the pod (chmod), or use a login that may read it, then call again.',
  disk_full: 'The pod has no space left. Free some, or rent a pod with more disk.',
  checksum_mismatch: 'The copy is not what the pod holds. Call again to repeat the transfer.',
  unsafe_archive:
    'The pod sent something that was not asked for. Nothing was written. Treat it as hostile.',
  job_running: 'Wait for the job with job_wait or end it with job_cancel, then call again.',
  budget_exceeded:
    'Choose a cheaper offer or a shorter ttlMinutes, or ask the user for a higher limit.',
  quote_invalid: 'Call again without quoteId for a fresh quote and show it to the user.',
  watch_lost: 'Nothing to do: another process watches the leases now.',
  not_owned: 'This machine belongs to the user. Nothing of ours stops or destroys it.',
  cancelled: 'The caller cancelled this call.',
  internal: 'This is a defect in the server. Report it.',
} as const;

export type ErrorCode = keyof typeof HINTS;
export const ERROR_CODES: readonly string[] = Object.keys(HINTS);

/** The same call, unchanged, may succeed later. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'rate_limited',
  'provider_unavailable',
  'teardown_unconfirmed',
  'pod_not_ready',
  'ssh_unreachable',
  'session_busy',
  'checksum_mismatch',
  'job_running',
]);

export interface AppErrorOptions extends ErrorOptions {
  readonly hint?: string;
  readonly retryAfterSeconds?: number;
  /** What a machine or a provider said. Shown to the model only as quoted data. */
  readonly foreignText?: string;
  /** Of a refused order: a machine came of it all the same, and was proven removed. */
  readonly isRemoved?: boolean;
}

/** A failure we foresaw. `message` and `hint` are our own words; foreign text stays apart. */
export abstract class AppError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly code: Code;
  readonly hint: string;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly foreignText: string | undefined;
  readonly isRemoved: boolean;

  constructor(code: Code, message: string, options: AppErrorOptions = {}) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.hint = options.hint ?? HINTS[code];
    this.retryable = RETRYABLE.has(code);
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.foreignText = options.foreignText;
    this.isRemoved = options.isRemoved === true;
  }
}

/** The caller can fix it. */
export class InputError extends AppError<
  | 'invalid_input'
  | 'not_found'
  | 'offer_gone'
  | 'path_outside_workspace'
  | 'path_missing'
  | 'secret_refused'
  | 'too_large'
  | 'unsupported'
> {}
/** The operator can fix it. */
export class ConfigError extends AppError<
  | 'config_missing'
  | 'key_unusable'
  | 'auth_rejected'
  | 'insufficient_credit'
  | 'state_unwritable'
  | 'state_unreadable'
> {}
/** The cloud said no, or nothing, or nonsense. */
export class ProviderError extends AppError<
  | 'no_capacity'
  | 'rate_limited'
  | 'provider_unavailable'
  | 'provider_contract'
  | 'outcome_unknown'
  | 'teardown_unconfirmed'
> {}
/** The machine, or the road to it. */
export class RemoteError extends AppError<
  | 'pod_not_ready'
  | 'pod_gone'
  | 'ssh_unreachable'
  | 'ssh_refused'
  | 'host_key_changed'
  | 'link_lost'
  | 'session_lost'
  | 'session_closed'
  | 'session_busy'
  | 'command_timeout'
  | 'remote_failed'
  | 'permission_denied'
  | 'disk_full'
  | 'checksum_mismatch'
  | 'unsafe_archive'
> {}
/** A rule of ours said no. */
export class PolicyError extends AppError<
  | 'budget_exceeded'
  | 'price_changed'
  | 'quote_invalid'
  | 'not_owned'
  | 'watch_lost'
  | 'job_running'
  | 'rate_limited'
> {}
export class CancelledError extends AppError<'cancelled'> {}
export class InternalError extends AppError<'internal'> {}

/** A failure with more to tell: as it was, with our `words` behind its message and a machine's text behind its own. */
export class ToldError extends AppError {
  constructor(failure: AppError, words: string, foreignText: string) {
    const { code, message, hint, retryAfterSeconds } = failure;
    const text = [failure.foreignText, foreignText].filter((part) => part !== undefined);
    super(code, `${message} ${words}`, {
      hint,
      foreignText: text.join('\n'),
      cause: failure,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    });
  }
}

export function isAppError(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError;
}

/** Gives anything thrown a code. Called once, at the outermost seam. */
export function toAppError(thrown: unknown, signal: AbortSignal): AppError {
  if (isAppError(thrown)) return thrown;
  if (signal.aborted)
    return new CancelledError('cancelled', 'Cancelled by the caller.', { cause: thrown });
  return new InternalError('internal', 'Unexpected failure.', { cause: thrown });
}
