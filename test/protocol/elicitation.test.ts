import { describe, expect, it } from 'vitest';
import type { Ask } from '../../src/core/pods.ts';
import { aPod, aQuote, OFFER, QUOTE } from '../support/fake-services.ts';
import {
  type Form,
  type FormAnswer,
  inProcess,
  PEERS,
  type TestServerOptions,
} from '../support/mcp-clients.ts';

/** Asks for money the way the leases do: accepted rents, the rest quotes. Counts what was rented. */
function renting(price: () => string = () => '$0.35'): {
  server: TestServerOptions;
  rented: string[];
  answers: string[];
} {
  const rented: string[] = [];
  const answers: string[] = [];
  const create = async (_request: unknown, { ask }: { ask: Ask }) => {
    const message = `Rent for ${price()} an hour?`;
    const answer = await ask({ message, field: 'approve' });
    answers.push(answer);
    if (answer === 'accepted') {
      rented.push(message);
      return { status: 'ready' as const, pod: aPod(), attempts: [] };
    }
    return {
      status: 'needs_confirmation' as const,
      quote: aQuote(),
      ...(answer === 'declined' ? { declined: true as const } : {}),
    };
  };
  return { server: { overrides: { pods: { create } } }, rented, answers };
}
const rent = { offerId: OFFER };

describe.each(PEERS)('money, through a %s client', (peer) => {
  it('is spent when a person ticks the box', async () => {
    const { server, rented } = renting();
    const forms: Form[] = [];
    await using client = await inProcess(peer, server, {
      elicit: (form) => {
        forms.push(form);
        return { action: 'accept', content: { approve: true } };
      },
    });
    const answer = await client.call('create_pod', rent);
    expect(answer.data).toMatchObject({ status: 'ready' });
    expect(rented).toEqual(['Rent for $0.35 an hour?']);
    expect(forms.length).toBe(1);
    expect(forms[0]?.requestedSchema).toMatchObject({
      type: 'object',
      required: ['approve'],
      properties: { approve: { type: 'boolean', default: false } },
    });
  });

  it.each<[string, FormAnswer, string]>([
    ['declined', { action: 'decline' }, 'declined'],
    ['accepted without the tick', { action: 'accept', content: { approve: false } }, 'declined'],
    ['accepted with another field', { action: 'accept', content: { confirm: true } }, 'declined'],
    [
      'accepted with the word "true"',
      { action: 'accept', content: { approve: 'true' } },
      'declined',
    ],
    ['cancelled, as hosts without a person do', { action: 'cancel' }, 'unavailable'],
  ])('is not spent when the form was %s', async (_name, form, expected) => {
    const { server, rented, answers } = renting();
    await using client = await inProcess(peer, server, { elicit: () => form });
    const answer = await client.call('create_pod', rent).catch(() => undefined);
    expect(rented).toEqual([]);
    // An SDK may refuse an answer that does not fit the form before we see it.
    if (answer !== undefined && !answer.isError) {
      expect(answer.data['status']).toBe('needs_confirmation');
      expect(answers).toEqual([expected]);
      expect(answer.data['declined']).toBe(expected === 'declined' ? true : undefined);
      expect(answer.data.next[0]).toMatchObject(
        expected === 'declined' ? { tool: 'find_offer' } : { arguments: { quoteId: QUOTE } },
      );
    }
  });

  it('is quoted to a client that has no forms', async () => {
    const { server, rented, answers } = renting();
    await using client = await inProcess(peer, server);
    const answer = await client.call('create_pod', rent);
    expect(answer.data).toMatchObject({
      status: 'needs_confirmation',
      quote: { quoteId: QUOTE },
      next: [{ tool: 'create_pod', arguments: { quoteId: QUOTE } }],
    });
    expect(answers).toEqual(['unavailable']);
    expect(rented).toEqual([]);
  });

  it('is asked for once although its deadline moves while the person thinks', async () => {
    let minute = 10;
    const { server, rented } = renting(() => `$0.35 until 2026-01-01T06:${(minute += 1)}:00.000Z`);
    const forms: string[] = [];
    await using client = await inProcess(peer, server, {
      elicit: ({ message }) => {
        forms.push(message);
        return { action: 'accept', content: { approve: true } };
      },
    });
    expect((await client.call('create_pod', rent)).data['status']).toBe('ready');
    expect([forms.length, rented.length]).toEqual([1, 1]);
  });

  it('is asked for again when the price changed while the person thought', async () => {
    const prices = ['$0.35', '$9.99', '$9.99'];
    const { server, rented } = renting(() => prices.shift() ?? '$9.99');
    const forms: string[] = [];
    await using client = await inProcess(peer, server, {
      elicit: ({ message }) => {
        forms.push(message);
        return { action: 'accept', content: { approve: true } };
      },
    });
    await client.call('create_pod', rent);
    expect(forms).toEqual(['Rent for $0.35 an hour?', 'Rent for $9.99 an hour?']);
    expect(rented).toEqual(['Rent for $9.99 an hour?']);
  });
});

/** The rounds of 2026-07-28 by hand, as a client that cheats would send them. */
describe('an answer of a person', () => {
  interface Round {
    readonly result: { readonly requestState?: string; readonly structuredContent?: unknown };
    readonly error?: unknown;
  }
  const META = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'cheat', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
  };
  async function open(server: TestServerOptions) {
    const { PassThrough } = await import('node:stream');
    const { createInterface } = await import('node:readline');
    const { StdioServerTransport, serveStdio } = await import('@modelcontextprotocol/server/stdio');
    const { serverFactory } = await import('../support/mcp-clients.ts');
    const input = new PassThrough();
    const output = new PassThrough();
    const handle = serveStdio(serverFactory(server), {
      transport: new StdioServerTransport(input, output),
    });
    const lines = createInterface({ input: output })[Symbol.asyncIterator]();
    let id = 0;
    return {
      call: async (args: object, more: object = {}): Promise<Round> => {
        id += 1;
        const params = { name: 'create_pod', arguments: args, _meta: META, ...more };
        input.write(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })}\n`);
        for (;;) {
          const message = JSON.parse(String((await lines.next()).value)) as Round & { id: number };
          if (message.id === id) return message;
        }
      },
      [Symbol.asyncDispose]: async () => handle.close(),
    };
  }
  const yes = (requestState: unknown): object => ({
    requestState,
    inputResponses: { confirm: { action: 'accept', content: { approve: true } } },
  });

  it('counts once, for one call and one question, and only with our signature', async () => {
    const { server, rented } = renting();
    await using client = await open(server);
    const first = await client.call(rent);
    expect(first.result).toMatchObject({ resultType: 'input_required' });
    const state = String(first.result.requestState);

    const other = await client.call({ offerId: 'vast:999' }, yes(state));
    expect(other.result).toMatchObject({ resultType: 'input_required' });
    const unsigned = await client.call(rent, yes(undefined));
    expect(unsigned.result).toMatchObject({ resultType: 'input_required' });
    const forged = await client.call(rent, yes(`${state.slice(0, -4)}AAAA`));
    expect(forged.error).toMatchObject({ code: -32602 });
    expect(rented).toEqual([]);

    const good = await client.call(rent, yes(state));
    expect(good.result.structuredContent).toMatchObject({ status: 'ready' });
    const again = await client.call(rent, yes(state));
    expect(again.result).toMatchObject({ resultType: 'input_required' });
    expect(rented.length).toBe(1);
  });
});
