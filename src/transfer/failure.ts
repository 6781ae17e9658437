import { z } from 'zod';
import { AppError, ERROR_CODES, type ErrorCode, toAppError } from '../core/errors.ts';

const isCode = (text: string): text is ErrorCode => ERROR_CODES.includes(text);

export const failureSchema = z.object({
  code: z.string().refine(isCode),
  message: z.string(),
  hint: z.string(),
  retryAfterSeconds: z.number().exactOptional(),
  foreignText: z.string().exactOptional(),
  /** What stood behind it, for the log. */
  cause: z.string().exactOptional(),
});
type Failure = z.output<typeof failureSchema>;

/** A failure of another thread: it says what the original said. */
export class CarriedError extends AppError {}

/** All that a failure says, as plain data. What nobody foresaw becomes `internal`, or `cancelled` after an abort. */
export function packFailure(thrown: unknown, signal: AbortSignal): Failure {
  const failure = toAppError(thrown, signal);
  const { code, message, hint, retryAfterSeconds, foreignText, cause } = failure;
  return {
    code,
    message,
    hint,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(foreignText === undefined ? {} : { foreignText }),
    ...(cause instanceof Error ? { cause: cause.stack ?? cause.message } : {}),
  };
}

export function unpackFailure({ code, message, cause, ...rest }: Failure): CarriedError {
  return new CarriedError(code, message, {
    ...rest,
    ...(cause === undefined ? {} : { cause: behind(cause) }),
  });
}

function behind(stack: string): Error {
  const error = new Error(stack.split('\n', 1)[0]);
  error.stack = stack;
  return error;
}
