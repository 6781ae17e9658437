const PACKED =
  /\.(?:safetensors|pt|pth|ckpt|bin|npz|gguf|gz|tgz|zip|zst|xz|bz2|7z|png|jpe?g|webp|gif|mp[34]|mkv|webm|mov|ogg|flac|pdf|parquet|whl|jar|woff2?)$/i;

/** Whether a file of this name holds what is compressed already, or does not compress. */
export function isPacked(path: string): boolean {
  return PACKED.test(path);
}
