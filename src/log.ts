import type { Logger } from 'pino';

export type Log = (level: 'error' | 'warn' | 'info', message: string, error?: unknown) => void;

/**
 * Structured lines on stderr: stdout belongs to the protocol. The logger is loaded with the first line that the level
 * lets through, so that a quiet start costs nothing.
 */
export function createLog(level: string, redact: (text: string) => string): Log {
  const order = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
  let logger: Promise<Logger> | undefined;
  return (at, message, error) => {
    if (order.indexOf(at) < order.indexOf(level)) return;
    logger ??= import('pino').then(({ pino }) =>
      pino({ level, base: null }, pino.destination({ dest: 2, sync: true })),
    );
    logger
      .then((to) => {
        to[at]({ error: describe(error, redact) }, redact(message));
      })
      .catch(() => undefined);
  };
}

/** Message, code and the chain of causes, redacted. */
function describe(error: unknown, redact: (text: string) => string): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? redact(error) : undefined;
  return {
    name: error.name,
    message: redact(error.message),
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    stack: redact(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: describe(error.cause, redact) }),
  };
}
