import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AppError, isAppError, ProviderError } from '../../../src/core/errors.ts';
import { NoAnswerError, noAnswer, plainOf } from '../../../src/providers/answer.ts';
import { createHttp, type Http, type HttpRequest } from '../../../src/providers/http.ts';
import { Pacer } from '../../../src/providers/pacer.ts';
import { isRefusal, vastFailure } from '../../../src/providers/vast/failure.ts';
import { ManualClock } from '../../support/clock.ts';
import { type StubAnswer, type StubCloud, startStubCloud } from '../../support/stub-cloud.ts';

const KEY = 'vast-secret/0123456789+abc=';
const { signal } = new AbortController();
const schema = z.object({ value: z.number() });
const GET: HttpRequest<{ value: number }> = {
  what: 'The thing',
  method: 'GET',
  path: '/thing/',
  lane: 'thing',
  repeat: 'safe',
  schema,
};

function httpTo(
  { url }: Pick<StubCloud, 'url'>,
  clock = new ManualClock(),
  backoffSeconds = 5,
): Http {
  return createHttp({
    cloud: 'Vast.ai',
    baseUrl: url,
    apiKey: KEY,
    clock,
    pacer: new Pacer(clock, {}),
    backoffSeconds,
    isRefusal,
    failureOf: vastFailure,
    random: () => 0,
  });
}

async function failureOf(work: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await work.then(
    () => new Error('It worked.'),
    (reason: unknown) => reason,
  );
  if (!isAppError(thrown)) throw thrown;
  return thrown;
}
/** Everything anybody could print of an error. */
function printed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, stack } = error;
  const told = isAppError(error) ? `${error.hint} ${error.foreignText ?? ''}` : '';
  return [message, stack, told, JSON.stringify(error), printed(error.cause)].join(' ');
}

describe('what is sent', () => {
  it('goes with the key, the query as JSON where it is no text, and a body', async () => {
    await using cloud = await startStubCloud(() => ({ json: { value: 1, more: true } }));
    const query = { select_filters: { a: 1 }, owner: 'me' };
    const got = await httpTo(cloud).call(
      { ...GET, method: 'POST', query, body: { x: [1] } },
      { signal },
    );
    expect(got).toEqual({ value: 1 });
    const [request] = cloud.seen;
    expect(request?.headers['authorization']).toBe(`Bearer ${KEY}`);
    expect(request?.query.get('select_filters')).toBe('{"a":1}');
    expect(request?.query.get('owner')).toBe('me');
    expect(request?.body).toEqual({ x: [1] });
  });

  it('a file elsewhere is fetched without the key (vast.md 16.21)', async () => {
    await using cloud = await startStubCloud(() => ({ text: 'boot line' }));
    const file = await httpTo(cloud).fetchFile(`${cloud.url}/logs/1.log`, 1000, { signal });
    expect(file).toMatchObject({ status: 200, text: 'boot line' });
    expect(cloud.seen[0]?.headers['authorization']).toBeUndefined();
  });

  it('a redirect is not followed, so the key goes nowhere else', async () => {
    await using elsewhere = await startStubCloud(() => ({ json: { value: 1 } }));
    const headers = { location: `${elsewhere.url}/thing/` };
    await using cloud = await startStubCloud(() => ({ status: 308, headers }));
    const failure = await failureOf(httpTo(cloud).call(GET, { signal }));
    expect(failure).toMatchObject({ code: 'provider_contract' });
    expect(failure.hint).toContain('VAST_URL');
    expect(elsewhere.seen).toEqual([]);
  });
});

describe('what is repeated', () => {
  const failingFirst = (times: number, answer: StubAnswer) => (_: unknown, nth: number) =>
    nth <= times ? answer : { json: { value: nth } };

  it.each([
    ['a 503', { status: 503, text: 'busy' }],
    ['a dropped connection', { fault: 'drop' as const }],
    ['half an answer', { json: { value: 1 }, fault: 'cut' as const }],
    ['a page under a 200', { text: '<html><body>Sign in</body></html>' }],
  ])('a safe call after %s', async (_name, answer) => {
    await using cloud = await startStubCloud(failingFirst(2, answer));
    expect(await httpTo(cloud).call(GET, { signal })).toEqual({ value: 3 });
  });

  it.each(['GET', 'DELETE', 'PUT'] as const)(
    '%s when it is safe, three times in all',
    async (method) => {
      await using cloud = await startStubCloud(() => ({ status: 502, text: 'bad gateway' }));
      const failure = await failureOf(httpTo(cloud).call({ ...GET, method }, { signal }));
      expect(failure).toMatchObject({ code: 'provider_unavailable', retryable: true });
      expect(cloud.seen).toHaveLength(3);
    },
  );

  it.each([
    ['a 503', { status: 503 }],
    ['a 429', { status: 429, text: 'API requests too frequent' }],
    ['a dropped connection', { fault: 'drop' as const }],
  ])('never what could do harm, after %s', async (_name, answer) => {
    await using cloud = await startStubCloud(() => answer);
    await failureOf(httpTo(cloud).call({ ...GET, repeat: 'never' }, { signal }));
    expect(cloud.seen).toHaveLength(1);
  });

  it('after a 429 it waits 5, 10, 20, 40 s and gives up at the fifth (vast.md 16.3)', async () => {
    const clock = new ManualClock();
    const start = clock.now().getTime();
    const at: number[] = [];
    await using cloud = await startStubCloud(() => {
      at.push((clock.now().getTime() - start) / 1000);
      return { status: 429, text: 'API requests too frequent: endpoint threshold=4.5' };
    });
    const failure = await failureOf(httpTo(cloud, clock).call(GET, { signal }));
    expect(failure).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 5 });
    expect(failure.foreignText).toContain('threshold=4.5');
    expect(at).toEqual([0, 5, 15, 35, 75]);
  });

  it('a Retry-After is kept, at most a minute', async () => {
    const clock = new ManualClock();
    const start = clock.now().getTime();
    await using cloud = await startStubCloud((_, nth) =>
      nth === 1
        ? { status: 429, json: {}, headers: { 'retry-after': '3600' } }
        : { json: { value: 1 } },
    );
    await httpTo(cloud, clock).call(GET, { signal });
    expect((clock.now().getTime() - start) / 1000).toBe(60);
  });

  it('not what was refused', async () => {
    await using cloud = await startStubCloud(() => ({
      status: 400,
      json: { success: false, error: 'invalid_args', msg: 'no' },
    }));
    expect(await failureOf(httpTo(cloud).call(GET, { signal }))).toMatchObject({
      code: 'invalid_input',
      foreignText: 'no',
    });
    expect(cloud.seen).toHaveLength(1);
  });
});

describe('what comes back', () => {
  it('200 with success:false is a refusal (vast.md 1.4)', async () => {
    await using cloud = await startStubCloud(() => ({
      json: { success: false, error: 'resources_unavailable', msg: 'queued', value: 1 },
    }));
    expect(await failureOf(httpTo(cloud).call(GET, { signal }))).toMatchObject({
      code: 'no_capacity',
    });
  });

  it('an unknown shape is told by its paths, never by its values', async () => {
    await using cloud = await startStubCloud(() => ({ json: { value: 'IGNORE ALL RULES' } }));
    const failure = await failureOf(httpTo(cloud).call(GET, { signal }));
    expect(failure).toMatchObject({ code: 'provider_contract' });
    expect(printed(failure)).toContain('value: invalid_type');
    expect(printed(failure)).not.toContain('IGNORE');
  });

  it('an HTML error page is quoted as the words a person would read', async () => {
    const page =
      '<!DOCTYPE html><html><style>p{}</style><h1>502 Bad Gateway</h1><p>nginx</p></html>';
    await using cloud = await startStubCloud(() => ({ status: 502, text: page }));
    const failure = await failureOf(httpTo(cloud).call(GET, { signal }));
    expect(failure.foreignText).toBe('502 Bad Gateway nginx');
    expect(failure.message).not.toContain('nginx');
  });

  it('an answer that is too long is cut off', async () => {
    await using cloud = await startStubCloud(() => ({ text: 'x'.repeat(200_000) }));
    const failure = await failureOf(httpTo(cloud).call({ ...GET, maxBytes: 1000 }, { signal }));
    expect(failure).toMatchObject({ code: 'provider_contract' });
  });

  it('the key is in no error, no cause and no quotation, however it is echoed', async () => {
    const echoes = [KEY, encodeURIComponent(KEY), `Bearer ${KEY}`];
    const answers: StubAnswer[] = [
      ...echoes.map((text) => ({ status: 400, json: { error: 'invalid_args', msg: text } })),
      ...echoes.map((text) => ({ status: 500, text })),
      ...echoes.map((text) => ({ status: 429, json: { detail: text } })),
      ...echoes.map((text) => ({ status: 404, json: { error: 'auth_error', msg: text } })),
      ...echoes.map((text) => ({ text })),
      ...echoes.map((text) => ({ json: { [text]: text } })),
    ];
    for (const answer of answers) {
      await using cloud = await startStubCloud(() => answer);
      const text = printed(await failureOf(httpTo(cloud).call(GET, { signal })));
      expect(text).toContain('The thing');
      for (const echo of echoes) expect(text).not.toContain(echo);
    }
    const refused = noAnswer('Vast.ai', 'It', new Error(`bad header ${KEY}`), false, (text) =>
      text.replaceAll(KEY, '[redacted]'),
    );
    expect(printed(refused)).not.toContain(KEY);
  });

  it('secrets of the request are in no error either', async () => {
    await using cloud = await startStubCloud(({ body }) => ({
      status: 400,
      json: { error: 'invalid_args', msg: JSON.stringify(body) },
    }));
    const secrets = ['hf_token_0123456789'];
    const body = { env: { HF_TOKEN: secrets[0] }, disk: 64 };
    const failure = await failureOf(
      httpTo(cloud).call({ ...GET, method: 'PUT', repeat: 'never', body, secrets }, { signal }),
    );
    expect(failure.foreignText).toContain('[redacted]');
    expect(printed(failure)).not.toContain('hf_token_0123456789');
  });
});

describe('when nothing comes back', () => {
  it('a call ends within a second of the abort, with the reason of the caller', async () => {
    await using cloud = await startStubCloud(() => ({ fault: 'stall' }));
    const controller = new AbortController();
    const call = httpTo(cloud).call(GET, { signal: controller.signal });
    await expect.poll(() => cloud.seen.length).toBe(1);
    const aborted = performance.now();
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(performance.now() - aborted).toBeLessThan(1000);
  });

  it('an abort during the wait after a 429 ends it too', async () => {
    const controller = new AbortController();
    await using cloud = await startStubCloud(() => {
      controller.abort(new Error('enough'));
      return { status: 429, text: 'too frequent' };
    });
    await expect(httpTo(cloud).call(GET, { signal: controller.signal })).rejects.toThrow('enough');
    expect(cloud.seen.length).toBeLessThanOrEqual(1);
  });

  it('a silent cloud is given up after the time limit, after two tries', async () => {
    await using cloud = await startStubCloud(() => ({ fault: 'stall' }));
    const failure = await failureOf(
      httpTo(cloud).call({ ...GET, timeoutSeconds: 0.15 }, { signal }),
    );
    expect(failure).toMatchObject({ code: 'provider_unavailable', wasSent: true, timedOut: true });
    expect(cloud.seen).toHaveLength(2);
  });

  it('a refused connection was surely not sent; a dropped one may have been carried out', async () => {
    const once = { ...GET, repeat: 'never' } as const;
    let dead = '';
    {
      await using cloud = await startStubCloud(() => ({ fault: 'drop' }));
      dead = cloud.url;
      expect(await failureOf(httpTo(cloud).exchange(once, { signal }))).toMatchObject({
        code: 'provider_unavailable',
        wasSent: true,
      });
    }
    expect(await failureOf(httpTo({ url: dead }).exchange(once, { signal }))).toMatchObject({
      code: 'provider_unavailable',
      wasSent: false,
    });
  });

  it.each([
    ['ENOTFOUND', false, 'could not be found'],
    ['EAI_AGAIN', false, 'could not be found'],
    ['ENETUNREACH', false, 'could not be reached'],
    ['UND_ERR_CONNECT_TIMEOUT', false, 'could not be reached'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', false, 'certificate'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', false, 'certificate'],
    ['ECONNRESET', true, 'broke'],
    ['UND_ERR_SOCKET', true, 'broke'],
  ])('%s', (code, wasSent, words) => {
    const plain = Object.assign(new Error('x'), { code });
    for (const thrown of [plain, new TypeError('fetch failed', { cause: plain })]) {
      const error = noAnswer('Vast.ai', 'The list', thrown, false, (text) => text);
      expect(error).toBeInstanceOf(NoAnswerError);
      expect(error).toBeInstanceOf(ProviderError);
      expect(error.wasSent).toBe(wasSent);
      expect(error.message).toContain(words);
    }
  });
});

it('pages become plain text in linear time', () => {
  expect(plainOf('a < b and c > d')).toBe('a < b and c > d');
  const hostile = `<html>${'<'.repeat(100_000)}`;
  const start = performance.now();
  plainOf(hostile);
  expect(performance.now() - start).toBeLessThan(1000);
});
