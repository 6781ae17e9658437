import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type { App, ProgramFiles } from './app.ts';
import type { Config } from './config.ts';
import { systemClock } from './core/call.ts';
import { ConfigError } from './core/errors.ts';
import { Redactor } from './core/redact.ts';
import { createLog } from './log.ts';
import { createRateLimiter, HTTP_RATE_LIMIT } from './mcp/rate-limit.ts';
import { createMcpServer } from './mcp/server.ts';
import { serveStdio } from './mcp/stdio.ts';
import { createProgressFile } from './store/progress-file.ts';

const DISPOSE_LIMIT_SECONDS = 5;
/** A host is slow to start us when we are slow: what the first answer does not need waits this long. */
const OPEN_AFTER_SECONDS = 2;

interface ServeOptions {
  readonly transport: 'stdio' | 'http';
  readonly config: Config;
  readonly version: string;
  readonly files: ProgramFiles;
}

/**
 * Serves MCP until the host hangs up or a signal comes, then closes what was opened within a fixed time. Pods and jobs
 * live on: they belong to leases, not to this process.
 */
export async function serve({ transport, config, version, files }: ServeOptions): Promise<number> {
  keepYoungGenerationSmall();
  const redactor = new Redactor();
  const redact = (text: string): string => redactor.redact(text);
  const log = createLog(config.logLevel, redact);
  const onError = (error: unknown): void => {
    log('warn', 'beside any call', error);
  };
  const createServer = createMcpServer({
    version,
    tools: async () => (await import('./tools/index.ts')).TOOLS,
    services: async () => (await app()).services,
    clock: systemClock,
    redactor,
    skillsFolder: files.skillsFolder,
    admit: transport === 'http' ? createRateLimiter(HTTP_RATE_LIMIT, systemClock) : undefined,
    onFailure: (tool, error) => {
      log(error.code === 'internal' ? 'error' : 'info', `${tool}: ${error.code}`, error);
    },
    onProgress:
      config.progressFile === undefined
        ? undefined
        : createProgressFile({ file: config.progressFile, clock: systemClock, redact }),
  });
  let opened: Promise<App> | undefined;
  const app = async (): Promise<App> =>
    (opened ??= import('./app.ts').then(({ createApp }) => {
      const made = createApp(config, files, redactor);
      made.watch(onError);
      return made;
    }));
  // Deadlines are watched and crashes mended even when nobody calls a tool.
  const idle = setTimeout(() => void app().catch(onError), OPEN_AFTER_SECONDS * 1000);
  try {
    if (transport === 'stdio') await serveStdio({ createServer, onError });
    else await serveOverHttp(config, createServer, onError);
  } finally {
    clearTimeout(idle);
    const limit = AbortSignal.timeout(DISPOSE_LIMIT_SECONDS * 1000);
    await Promise.race([
      disposeQuietly(opened, onError),
      new Promise((resolve) => {
        limit.addEventListener('abort', resolve, { once: true });
      }),
    ]);
  }
  return 0;
}

/**
 * V8 doubles the space for young objects up to 48 MB as garbage comes, and keeps it. About 19 MB live here, whatever is
 * called, and calls come one by one: a third of the resident memory would wait for nothing. Measured over 2,000 calls:
 * 100 MB instead of 121, with the same processor time.
 */
function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

async function disposeQuietly(
  app: Promise<AsyncDisposable> | undefined,
  onError: (error: unknown) => void,
): Promise<void> {
  try {
    await (await app)?.[Symbol.asyncDispose]();
  } catch (failure) {
    onError(failure);
  }
}

async function serveOverHttp(
  config: Config,
  createServer: ReturnType<typeof createMcpServer>,
  onError: (error: Error) => void,
): Promise<void> {
  const { serveHttp } = await import('./mcp/http.ts');
  const { host, port, allowedHosts } = config.http;
  const tokenFile = path.join(config.home, 'http-token');
  const token = config.http.token ?? keptToken(tokenFile);
  const serving = await serveHttp({
    createServer,
    clock: systemClock,
    host,
    port,
    token,
    allowedHosts,
    onError,
  });
  const where = config.http.token === undefined ? `in ${tokenFile}` : 'GPU_LEASE_HTTP_TOKEN';
  process.stderr.write(
    `gpu-lease serves MCP at ${serving.url}\nAuthorization: Bearer <token>; the token: ${where}\n`,
  );
  await new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.once(name, () => {
        resolve();
      });
  });
  await serving.close();
}

/** One random token per state folder, so that hosts keep working over restarts. Two starts at once agree on one. */
function keptToken(file: string): string {
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    if (existsSync(file)) return readFileSync(file, 'utf8').trim();
    const made = randomBytes(32).toString('base64url');
    const own = `${file}.${process.pid}`;
    try {
      writeFileSync(own, made, { mode: 0o600 });
      // A link appears whole or not at all: nobody reads a token that is half written.
      linkSync(own, file);
      return made;
    } catch (failure) {
      if (codeOf(failure) === 'EEXIST') return readFileSync(file, 'utf8').trim();
      if (!NO_LINKS.includes(codeOf(failure))) throw failure;
      renameSync(own, file);
      return made;
    } finally {
      rmSync(own, { force: true });
    }
  } catch (cause) {
    throw new ConfigError('state_unwritable', `Cannot keep the HTTP token in ${file}.`, { cause });
  }
}

/** File systems without hard links. There the last of two first starts wins. */
const NO_LINKS: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];
const codeOf = (failure: unknown): unknown =>
  failure instanceof Error && 'code' in failure ? failure.code : undefined;
