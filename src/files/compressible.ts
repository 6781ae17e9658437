const PACKED =
  /\.(?:safetensors|pt|pth|ckpt|bin|npz|gguf|gz|tgz|zip|zst|xz|bz2|7z|png|jpe?g|webp|gif|mp[34]|mkv|webm|mov|ogg|flac|pdf|parquet|whl|jar|woff2?)$/i;

/** Whether a file of this name holds what is compressed already, or does not compress. */
export function isPacked(path: string): boolean {
  return PACKED.test(path);
}

/** Whether gzip is worth its CPU: most of the bytes are of kinds that shrink. gzip on random data is slower than most lines. */
export function isCompressible(
  files: readonly { readonly path: string; readonly bytes: number }[],
): boolean {
  let packed = 0;
  let total = 0;
  for (const { path, bytes } of files) {
    total += bytes;
    if (PACKED.test(path)) packed += bytes;
  }
  return total > 0 && packed * 2 < total;
}
