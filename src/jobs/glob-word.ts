import { shellQuote } from '../core/shell-quote.ts';

/** A pattern as one shell word in which only `*` and `?` mean something. A folder stands for what is below it. */
export function globWord(pattern: string): string {
  const plain = pattern.replace(/\0/g, '').replace(/\*+/g, '*');
  const word = plain
    .split(/([*?])/)
    .map((part) => (part === '*' || part === '?' || part === '' ? part : shellQuote(part)))
    .join('');
  return word.startsWith('/') || word.startsWith("'/") ? word : `./${word}`;
}
