/** One POSIX shell word that expands to exactly `text`. NUL cannot be said in a shell and is refused. */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new TypeError('A shell word cannot hold NUL.');
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
