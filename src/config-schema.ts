import { z } from 'zod';
import { isLoopback } from './core/loopback.ts';

/** A key goes into a header, so it is one printable word. */
const apiKey = z.string().regex(/^[\x21-\x7e]+$/, 'must be one word, without blanks or line ends');
/** The key travels to it: only over TLS, or not beyond this machine. */
const cloudUrl = z
  .string()
  .refine(isCloudUrl, 'must be an https:// address (http:// for this machine only)')
  .transform((text) => new URL(text).origin);

/** Further interfaces of a cloud have a path of their own. */
const apiUrl = z
  .string()
  .refine(isCloudUrl, 'must be an https:// address (http:// for this machine only)')
  .transform((text) => new URL(text).href.replace(/\/+$/, ''));
/** "1", "true" and "yes" switch on; "0", "false" and "no" do not. */
const toggle = z
  .enum(['1', 'true', 'yes', 'on', '0', 'false', 'no', 'off'])
  .transform((word) => ['1', 'true', 'yes', 'on'].includes(word));

/** Digits alone: "", " " and "0x10" would be numbers to JavaScript, and a limit that was meant otherwise is none. */
const amount = z
  .string()
  .trim()
  .regex(/^(?:\d+\.?\d*|\.\d+)$/, 'must be an amount in US dollars, digits alone, like 12.50')
  .transform(Number);
const minutes = z
  .string()
  .trim()
  .regex(/^(?:\d+\.?\d*|\.\d+)$/, 'must be minutes, digits alone, like 30')
  .transform(Number)
  .refine((number) => number > 0, 'must be more than 0 minutes: leave it out to end no pod');
const whole = (most: number, words: string) =>
  z
    .string()
    .trim()
    .regex(/^\d{1,15}$/, words)
    .transform(Number)
    .refine((number) => number <= most, words);

/** The variables with their types and defaults. Their meaning stands in `SETTINGS`. */
export const configSchema = z.object({
  GPU_LEASE_HOME: z.string().min(1).optional(),
  GPU_LEASE_WORKSPACE: z.string().min(1).optional(),
  GPU_LEASE_SSH_KEY: z.string().min(1).optional(),
  GPU_LEASE_MAX_USD_PER_HOUR: amount.optional(),
  GPU_LEASE_BUDGET_USD: amount.optional(),
  GPU_LEASE_BUDGET_DAY_USD: amount.optional(),
  GPU_LEASE_BUDGET_POD_USD: amount.optional(),
  GPU_LEASE_MAX_PODS: whole(Number.MAX_SAFE_INTEGER, 'must be a whole number').optional(),
  GPU_LEASE_IDLE_MINUTES: minutes.optional(),
  GPU_LEASE_AUTO_APPROVE_USD: amount.default(0),
  GPU_LEASE_WATCHER: toggle.default(true),
  GPU_LEASE_PROGRESS_FILE: z.string().min(1).optional(),
  GPU_LEASE_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('warn'),
  VAST_API_KEY: apiKey.optional(),
  VAST_URL: cloudUrl.default('https://console.vast.ai'),
  RUNPOD_API_KEY: apiKey.optional(),
  RUNPOD_GRAPHQL_URL: apiUrl.default('https://api.runpod.io/graphql'),
  RUNPOD_REST_V2_API_URL: apiUrl.default('https://api.runpod.io/v2'),
  RUNPOD_REST_API_URL: apiUrl.optional(),
  RUNPOD_TEMPLATE_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$/, 'must be the id of a template, one word')
    .optional(),
  RUNPOD_NO_GATEWAY: toggle.default(false),
  RUNPOD_DIRECT_SSH_USER: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9._-]{0,31}$/, 'must be the name of a user')
    .optional(),
  LAMBDA_API_KEY: apiKey.optional(),
  LAMBDA_API_URL: cloudUrl.default('https://cloud.lambda.ai'),
  GPU_LEASE_HTTP_PORT: whole(65_535, 'must be a whole number from 0 to 65535').default(7433),
  GPU_LEASE_HTTP_HOST: z.string().min(1).default('127.0.0.1'),
  GPU_LEASE_HTTP_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  GPU_LEASE_HTTP_ALLOWED_HOSTS: z.string().default(''),
});

function isCloudUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(text));
}
