/** Of a longer transcript the pod keeps the last part. */
export const TRANSCRIPT_BYTES = 50 * 1024 * 1024;

/* Gives the bytes from $1 on, $2 of them, back to the disk. The size of the file, and with it every offset, stays. */
const PUNCH_PYTHON = `import ctypes,os,sys
f=os.open(sys.argv[1],os.O_WRONLY)
c=ctypes.CDLL(None,use_errno=True)
sys.exit(0 if c.fallocate64(f,3,ctypes.c_int64(int(sys.argv[2])),ctypes.c_int64(int(sys.argv[3])))==0 else 1)`;

/**
 * Runs beside the terminal whose process is `$1`, and keeps the transcript from filling the disk: what is older than the
 * last `maxBytes` becomes a hole, and the file `base` says where the kept part begins. Where the file system knows no
 * holes, the running command is ended instead, and the transcript says so.
 */
export function keepScript(maxBytes: number): string {
  return `trap '' INT QUIT TSTP
d=$2 base=0 size=0 pause=2
while sleep $pause && kill -0 "$1" 2>/dev/null && [ -f "$d/out" ]; do
  before=$size size=$(($(wc -c < "$d/out")))
  # Hundreds of quiet shells must cost the machine nothing.
  if [ $((size - before)) -gt 262144 ]; then pause=2; elif [ $pause -lt 8 ]; then pause=$((pause * 2)); fi
  [ $((size - base)) -gt ${Math.round(maxBytes * 1.25)} ] || continue
  next=$((size - ${maxBytes}))
  printf '%s\\n' $next > "$d/base.n" && mv "$d/base.n" "$d/base"
  if fallocate -p -o $base -l $((next - base)) "$d/out" 2>/dev/null || python3 -I -c '${PUNCH_PYTHON}' "$d/out" $base $((next - base)) 2>/dev/null; then
    base=$next
  else
    rm -f "$d/base"
    read -r p l < "$d/pid"
    read -r l < "/proc/$p/stat"
    set -- "$1" "$2" \${l##*) }
    [ "\${8:--1}" = -1 ] || [ "$8" = "$5" ] || kill -s TERM -- "-$8"
    kill -s INT "$p"
    printf '\\r\\n[gpu-lease: the transcript is too long for the disk; the running command was ended]\\r\\n' >> "$d/out"
    base=$size
  fi
done
`;
}
