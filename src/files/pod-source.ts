/** Where the bytes of a file are, relative to the root. */
export function sourceOf({
  path,
  source,
}: {
  readonly path: string;
  readonly source?: string;
}): string {
  return source ?? path;
}
