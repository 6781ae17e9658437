import { InputError } from '../core/errors.ts';

/** Whether the key is among these lines. Comments differ and mean nothing: type and blob are the key. */
export function hasKey(known: readonly string[], line: string): boolean {
  const wanted = blobOf(line);
  return wanted !== undefined && known.some((each) => blobOf(each) === wanted);
}

function blobOf(line: string): string | undefined {
  const [type = '', blob = ''] = line.trim().split(/\s+/);
  return blob === '' ? undefined : `${type} ${blob}`;
}

/** One public key and nothing else: a private one must never leave this machine. Throws `invalid_input`. */
export function checkedKey(publicKey: string): string {
  const line = publicKey.trim();
  if (!/^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [^\n\r]*)?$/.test(line))
    throw new InputError('invalid_input', 'This is not one public SSH key.');
  return line;
}
