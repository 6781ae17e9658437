import { Writable } from 'node:stream';

const MAX_BYTES = 96 << 20;

/** A sink that keeps what a pod prints, up to what no list of files is longer than. */
export function collect(): { readonly sink: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size <= MAX_BYTES) chunks.push(chunk);
      done();
    },
  });
  return { sink, bytes: () => Buffer.concat(chunks) };
}
