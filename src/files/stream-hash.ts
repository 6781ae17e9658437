import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { BLOCK_BYTES, digestsOf, rememberBlocks } from './block-hash.ts';
import { countLines, createSecretScanner, type SecretFinding } from './secrets.ts';

export interface ContentHash {
  readonly sha256: string;
  readonly secret?: SecretFinding;
  /** Holds a carriage return before a line end. */
  readonly crlf: boolean;
}

/** All that is to be known of a content, from one reading of it. */
export interface StreamHash {
  /** Pieces in their order; every one but the last is some whole blocks. Answers the digests of its blocks, none without `inBlocks`. */
  readonly add: (piece: Buffer) => readonly string[];
  /** In what was added so far. */
  readonly hasSecret: () => boolean;
  end(): Promise<ContentHash>;
}

export function createStreamHash(absolute: string, inBlocks: boolean): StreamHash {
  const hash = createHash('sha256');
  const scanner = createSecretScanner(absolute);
  const isShell = isShellName(absolute);
  const digests: string[] = [];
  let crlf = false;
  return {
    add(piece) {
      hash.update(piece);
      scanner.add(piece);
      if (isShell && piece.includes('\r\n')) crlf = true;
      const own = inBlocks ? digestsOf(piece) : [];
      for (const digest of own) digests.push(digest);
      return own;
    },
    hasSecret: () => scanner.finding() !== undefined,
    async end() {
      const sha256 = hash.digest('hex');
      if (inBlocks) rememberBlocks(sha256, { blockBytes: BLOCK_BYTES, digests });
      const secret = scanner.finding();
      if (secret === undefined) return { sha256, crlf };
      const line = await lineAt(absolute, secret.at);
      return { sha256, crlf, secret: { kind: secret.kind, line } };
    },
  };
}

export function isShellName(file: string): boolean {
  return /\.(?:sh|bash|zsh)$/.test(file);
}

/** The line in which the byte at `at` is. Only what is refused is read again. */
async function lineAt(absolute: string, at: number): Promise<number> {
  let line = 1;
  if (at > 0)
    for await (const chunk of createReadStream(absolute, { end: at - 1 }))
      if (Buffer.isBuffer(chunk)) line += countLines(chunk);
  return line;
}
