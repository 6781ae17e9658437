import { Transform } from 'node:stream';
import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import { Redactor } from '../core/redact.ts';
import { failure } from './result.ts';

export const MAX_LINE_BYTES = 8 << 20;
const NEWLINE = 0x0a;
/** Enough of a dropped message to answer it: clients write the id first or last. */
const KEPT_BYTES = 4096;

/**
 * Passes JSON-RPC lines through and drops those over 8 MiB, answering each with an error of ours: the transport behind
 * it would close on them, and one big argument must not end the connection of a host. Memory stays bounded. A byte
 * order mark and batches are taken apart here too, since the transport would drop both without an answer.
 */
export function limitLines(answer: (line: string) => void): Transform {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let dropped: { head: Buffer; tail: Buffer; bytes: number } | undefined;

  const drop = (chunk: Buffer): void => {
    dropped ??= {
      head: Buffer.concat([...held, chunk.subarray(0, KEPT_BYTES)]).subarray(0, KEPT_BYTES),
      tail: Buffer.alloc(0),
      bytes: heldBytes,
    };
    dropped.bytes += chunk.length;
    dropped.tail = Buffer.concat([dropped.tail, chunk.subarray(-KEPT_BYTES)]).subarray(-KEPT_BYTES);
    held = [];
    heldBytes = 0;
  };
  const take = (part: Buffer): void => {
    if (dropped !== undefined || heldBytes + part.length > MAX_LINE_BYTES) drop(part);
    else {
      held.push(part);
      heldBytes += part.length;
    }
  };

  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        take(chunk.subarray(from, end + 1));
        from = end + 1;
        if (dropped === undefined) this.push(plainLine(Buffer.concat(held)));
        else {
          const reply = refusal(dropped);
          if (reply !== undefined) answer(reply);
        }
        held = [];
        heldBytes = 0;
        dropped = undefined;
      }
      if (from < chunk.length) take(chunk.subarray(from));
      done();
    },
  });
}

const MARK = Buffer.from('\uFEFF');
const BRACKET = 0x5b;
const batchSchema = z.array(z.unknown());
/** The messages of a batch, one a line: each is answered by itself. Everything else stays as it is. */
function plainLine(line: Buffer): Buffer {
  const bare = line.subarray(0, MARK.length).equals(MARK) ? line.subarray(MARK.length) : line;
  if (bare[0] !== BRACKET) return bare;
  try {
    const batch = batchSchema.parse(JSON.parse(bare.toString('utf8')));
    return Buffer.from(batch.map((message) => `${JSON.stringify(message)}\n`).join(''));
  } catch {
    return bare;
  }
}

/** The answer to a dropped message, or `undefined` when its id cannot be told (then it was no request). */
function refusal({
  head,
  tail,
  bytes,
}: {
  head: Buffer;
  tail: Buffer;
  bytes: number;
}): string | undefined {
  const pattern = /"id"\s*:\s*(-?\d{1,15}|"[^"\\]{1,200}")/;
  const start = head.toString('latin1');
  // Only what stands before "params" or after everything is ours to trust: the middle is the caller's text.
  const id = pattern.exec(start.split('"params"')[0] ?? '') ?? lastId(tail.toString('latin1'));
  if (id?.[1] === undefined) return undefined;
  const error = new InputError(
    'too_large',
    `The message has ${bytes} bytes; at most ${MAX_LINE_BYTES} are read.`,
  );
  const body = start.includes('"tools/call"')
    ? `"result":${JSON.stringify(failure(error, new Redactor()))}`
    : `"error":${JSON.stringify({ code: -32_600, message: error.message })}`;
  return `{"jsonrpc":"2.0","id":${id[1]},${body}}\n`;
}

function lastId(tail: string): RegExpExecArray | null {
  return /"id"\s*:\s*(-?\d{1,15}|"[^"\\]{1,200}")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/.exec(
    tail,
  );
}
