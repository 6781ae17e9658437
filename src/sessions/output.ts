import { type Readable, Transform } from 'node:stream';

/** One of the two outputs of a run, without what was printed before the script. Taken once, by one of both. */
export interface Output {
  /** Each piece in the moment in which it comes. Resolves when all has come; never rejects. */
  collect(add: (chunk: Buffer) => void): Promise<void>;
  /** Whoever does not read it slows the pod down. */
  stream(): Readable;
}

/** `strip` answers what of a chunk is the script's own. `isLent`: nothing is taken from `from` here before it is asked for. */
export function createOutput(
  from: Readable,
  strip: (chunk: Buffer) => Buffer | undefined,
  isLent = false,
): Output {
  // Between the start of a script and the moment in which its caller knows of it.
  const early: Buffer[] = [];
  let take = (chunk: Buffer): void => {
    early.push(chunk);
  };
  const hear = (chunk: Buffer): void => {
    const bytes = strip(chunk);
    if (bytes !== undefined && bytes.length > 0) take(bytes);
  };
  if (!isLent) from.on('data', hear);
  const over = new Promise<void>((resolve) => {
    from.once('end', resolve);
    from.once('close', resolve);
  });
  return {
    async collect(add) {
      take = add;
      for (const chunk of early.splice(0)) add(chunk);
      return over;
    },
    stream() {
      const to = new Transform({
        transform(chunk: Buffer, _encoding, done): void {
          const bytes = strip(chunk);
          if (bytes !== undefined && bytes.length > 0) this.push(bytes);
          done();
        },
      });
      to.on('error', () => {
        // An end without an exit status is what counts.
      });
      for (const chunk of early.splice(0)) to.push(chunk);
      from.off('data', hear);
      from.pipe(to);
      return to;
    },
  };
}
