import { z } from 'zod';
import { plainOf } from '../answer.ts';
import type { Answer } from '../http.ts';

/** What RunPod means by a refusal. A GraphQL refusal is a 200; the two REST versions use other words for the same. */
export type Refusal =
  | 'bad_key'
  | 'scope'
  | 'blocked'
  | 'withdrawn'
  | 'no_capacity'
  | 'host_full'
  | 'no_credit'
  | 'missing'
  | 'no_storage'
  | 'disk_too_small'
  | 'not_allowed'
  | 'schema'
  | 'too_frequent'
  | 'too_large'
  | 'redirect'
  | 'unexplained'
  | 'down'
  | 'bad_request';

const graphqlErrorSchema = z.object({
  message: z.string().catch(''),
  extensions: z
    .object({ code: z.string().nullish().catch(undefined) })
    .nullish()
    .catch(undefined),
});
const envelopeSchema = z.object({
  errors: z
    .array(z.union([graphqlErrorSchema, z.string()]))
    .nullish()
    .catch(undefined),
  detail: z.string().nullish().catch(undefined),
  error: z.string().nullish().catch(undefined),
  message: z.string().nullish().catch(undefined),
  title: z.string().nullish().catch(undefined),
});

export interface Said {
  readonly code: string;
  readonly words: string;
  /** It has the shape of an answer of RunPod, as opposed to a page of whoever stands before it. */
  readonly isOurs: boolean;
}

/** v2 `detail` and `errors`, GraphQL `errors`, v1 `error`, `message`, else the text. */
export function saidIn({ body, text, status }: Answer): Said {
  const parsed = envelopeSchema.safeParse(body);
  if (!parsed.success) return { code: '', words: plainOf(text) || `HTTP ${status}`, isOurs: false };
  const { errors, detail, error, message } = parsed.data;
  const told = (errors ?? []).map((each) => (typeof each === 'string' ? each : each.message));
  const codes = (errors ?? []).map((each) =>
    typeof each === 'string' ? '' : (each.extensions?.code ?? ''),
  );
  const words = [detail, error, message, ...told].filter((part) => part != null && part !== '');
  return {
    code: codes.find((code) => code !== '') ?? '',
    words: words.join(' ') || `HTTP ${status}`,
    isOurs: words.length > 0,
  };
}

/** A GraphQL answer is a refusal as soon as it has `errors`; a v1 answer was seen with an `error` under a 200. */
export function isRefusal(body: unknown): boolean {
  const parsed = envelopeSchema.safeParse(body);
  if (!parsed.success) return false;
  const { errors, error } = parsed.data;
  return (errors ?? []).length > 0 || (error != null && error !== '');
}

const NO_CAPACITY =
  /no longer any instances|no instances currently available|could not find any pods|does not have the resources|insufficient resources/i;
const CODES: Readonly<Record<string, Refusal>> = {
  SUPPLY_CONSTRAINT: 'no_capacity',
  INSUFFICIENT_BALANCE: 'no_credit',
  POD_NOT_FOUND: 'missing',
  'Cluster not found': 'missing',
};

/** By code first and by words second, since older answers have no code. */
export function refusalOf(answer: Answer): Refusal {
  const { status } = answer;
  const { code, words, isOurs } = saidIn(answer);
  if (status === 429) return 'too_frequent';
  if (status === 413) return 'too_large';
  if (status >= 300 && status < 400) return 'redirect';
  if (
    status === 410 ||
    (status === 404 && (!isOurs || /requested path was not found/i.test(words)))
  )
    return 'withdrawn';
  if (status === 402) return 'no_credit';
  const byCode = CODES[code];
  if (byCode !== undefined) return byCode;
  if (NO_CAPACITY.test(words)) return 'no_capacity';
  if (/not enough free GPUs/i.test(words)) return 'host_full';
  if (/balance is too low|add funds/i.test(words)) return 'no_credit';
  if (status === 401) return 'bad_key';
  if (status === 403) return isOurs ? 'scope' : 'blocked';
  if (/^unauthorized/i.test(words)) return 'scope';
  if (/find data center|storage cluster/i.test(words)) return 'no_storage';
  if (/not enough disk space/i.test(words)) return 'disk_too_small';
  if (/cannot query field|is not defined by type|introspection|unknown argument/i.test(words))
    return 'schema';
  if (status === 404 || /\bnot found\b|nonexistent/i.test(words)) return 'missing';
  if (status === 409) return 'not_allowed';
  if (code === 'INTERNAL_SERVER_ERROR' || /something went wrong/i.test(words))
    return status >= 500 ? 'down' : 'unexplained';
  return status >= 500 ? 'down' : 'bad_request';
}
