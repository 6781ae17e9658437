import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { Redactor } from '../../../src/core/redact.ts';
import type { Look, LookRequest } from '../../../src/jobs/look.ts';
import { maskedLook, widened } from '../../../src/jobs/masked-look.ts';
import { TAIL_BYTES } from '../../../src/jobs/pod-shell.ts';
import { fc } from '../../support/property.ts';

const SECRET = 'tr0ub4dor-and-3-more-words';

/** What the pod answers, for a log and a request. */
function lookAt(log: string, request: LookRequest, state: Look['state'] = 'ended'): Look {
  const bytes = Buffer.from(log);
  const from = request.offset < 0 ? Math.max(0, bytes.length - request.maxBytes) : request.offset;
  const offset = Math.min(from, bytes.length);
  return {
    state,
    now: 0,
    size: bytes.length,
    stdoutBytes: bytes.length,
    stderrBytes: 0,
    stdoutTail: bytes.subarray(-TAIL_BYTES.ended).toString(),
    stderrTail: '',
    offset,
    bytes: bytes.subarray(offset, offset + request.maxBytes),
  };
}
const request = (offset: number, maxBytes: number): LookRequest =>
  ({ offset, maxBytes, stream: 'stdout' }) as LookRequest;

it('pages of a log tell no part of a secret, wherever they are cut, and miss nothing else [KE-11]', () => {
  const redactor = new Redactor();
  redactor.add(SECRET);
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('.', '\n'), maxLength: 60 }),
      fc.string({ unit: fc.constantFrom('.', '\n'), maxLength: 60 }),
      fc.integer({ min: -1, max: 140 }),
      fc.integer({ min: 4, max: 60 }),
      (before, after, offset, maxBytes) => {
        const log = `${before}${SECRET}${after}`;
        const asked = request(offset, maxBytes);
        const look = maskedLook(lookAt(log, widened(asked, redactor)), asked, redactor);
        const text = look.bytes.toString();
        expect(text.replace(/\[redacted\]|\*/g, '')).toMatch(/^[.\n]*$/);
        expect(text.length).toBeLessThanOrEqual(maxBytes);
        // Every byte stands where it stood.
        for (let at = 0; at < text.length; at += 1)
          if (text[at] === '.' || text[at] === '\n') expect(log[look.offset + at]).toBe(text[at]);
        if (offset >= 0) expect(look.offset).toBe(Math.min(offset, log.length));
        else if (text.length === maxBytes) expect(look.offset + text.length).toBe(log.length);
      },
    ),
  );
});

it('what is printed in two halves is shown when it is whole, and not before', () => {
  const redactor = new Redactor();
  redactor.add(SECRET);
  const asked = request(0, 1000);
  const see = (log: string, state: Look['state']): string =>
    maskedLook(lookAt(log, widened(asked, redactor), state), asked, redactor).bytes.toString();
  const half = `key: ${SECRET.slice(0, 12)}`;
  expect(see(half, 'running')).toBe('key: ');
  expect(see(half, 'ended')).toBe(half);
  expect(see(`key: ${SECRET}!`, 'running')).toMatch(/^key: \[redacted\]\**!$/);
});

it('a tail that was cut within a secret begins behind it', () => {
  const redactor = new Redactor();
  redactor.add(SECRET);
  const rest = `\n${'x'.repeat(TAIL_BYTES.ended - 11)}`;
  const look = lookAt(`${SECRET}${rest}`, request(0, 10));
  expect(look.stdoutTail).toContain(SECRET.slice(-5));
  expect(maskedLook(look, request(0, 10), redactor).stdoutTail).toBe(rest.slice(1));
});
