import type { Buffer } from 'node:buffer';
import { z } from 'zod';
import { RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';

const count = z.coerce.number().nonnegative();
const factsSchema = z.object({
  now: count,
  uptimeSeconds: count.exactOptional(),
  load1: count.exactOptional(),
  cpus: count.exactOptional(),
  diskTotalKb: count.exactOptional(),
  diskFreeKb: count.exactOptional(),
  /** Of the folder that work goes to, which may be on another disk. */
  workDiskTotalKb: count.exactOptional(),
  workDiskFreeKb: count.exactOptional(),
  inodesTotal: count.exactOptional(),
  inodesFree: count.exactOptional(),
  shmTotalKb: count.exactOptional(),
  memoryLimitBytes: count.exactOptional(),
  memoryUsedBytes: count.exactOptional(),
  /** Page cache inside `memoryUsedBytes`, which the kernel gives back when asked. */
  memoryCacheBytes: count.exactOptional(),
  memorySource: z.enum(['cgroup', 'host']).exactOptional(),
  oomKills: count.exactOptional(),
  kernelLog: z.enum(['readable', 'unreadable']).exactOptional(),
  xids: z.string().exactOptional(),
  gpuTool: z.enum(['yes', 'no', 'broken']),
});
const gpuSchema = z.object({
  index: count,
  name: z.string(),
  temperatureC: count.exactOptional(),
  clockMhz: count.exactOptional(),
  maxClockMhz: count.exactOptional(),
  utilizationPercent: count.exactOptional(),
  memoryUsedMib: count.exactOptional(),
  memoryTotalMib: count.exactOptional(),
  /** Bit mask of the driver; 0 or 1 (idle) is no throttling. */
  throttleMask: z.int().nonnegative().exactOptional(),
  eccUncorrected: count.exactOptional(),
});
export type Gpu = Readonly<z.output<typeof gpuSchema>>;
export type PodFacts = Readonly<z.output<typeof factsSchema>> & { readonly gpus: readonly Gpu[] };

/** Everything worth knowing about a pod in one round trip [WA-04]. Limits of the container before those of the host [HE-07]. */
export const podProbe = (workFolder: string | undefined): string => `
work=${workFolder === undefined ? '' : shellQuote(workFolder)}
${PROBE}`;

const PROBE = `
field() { [ -n "$2" ] && printf '%s %s\\n' "$1" "$2"; }
first() { { read -r word _ <"$1"; } 2>/dev/null && printf '%s' "$word"; }
quick() { if command -v timeout >/dev/null 2>&1; then timeout 10 "$@"; else "$@"; fi; }
columns() {
  read -r _ || return 0
  read -r row || return 0
  older= old= before=
  for word in $row; do
    case $word in *[0-9]%) field "$1" "$older"; field "$2" "$before"; return 0 ;; esac
    older=$old old=$before before=$word
  done
}
echo gpu-lease-health
field now "$(date +%s)"
up=$(first /proc/uptime); field uptimeSeconds "\${up%%.*}"
field load1 "$(first /proc/loadavg)"
field cpus "$(nproc 2>/dev/null)"
place=$HOME; [ -d /workspace ] && place=/workspace
df -Pk -- "$place" 2>/dev/null | columns diskTotalKb diskFreeKb
[ -z "$work" ] || df -Pk -- "$work" 2>/dev/null | columns workDiskTotalKb workDiskFreeKb
df -Pi -- "$place" 2>/dev/null | columns inodesTotal inodesFree
[ -d /dev/shm ] && df -Pk /dev/shm 2>/dev/null | columns shmTotalKb shmFreeKb
limit=$(first /sys/fs/cgroup/memory.max) used=$(first /sys/fs/cgroup/memory.current) stat=/sys/fs/cgroup/memory.stat cache=inactive_file
if [ -z "$limit" ]; then
  limit=$(first /sys/fs/cgroup/memory/memory.limit_in_bytes) used=$(first /sys/fs/cgroup/memory/memory.usage_in_bytes)
  stat=/sys/fs/cgroup/memory/memory.stat cache=total_inactive_file
fi
# Without a limit version 1 says a number beyond all memory.
case $limit in *[!0-9]*|'') limit= ;; *) [ "\${#limit}" -lt 17 ] || limit= ;; esac
if [ -n "$limit" ]; then
  field memorySource cgroup
  field memoryLimitBytes "$limit"
  field memoryUsedBytes "$used"
  while read -r k v _; do [ "$k" = "$cache" ] && field memoryCacheBytes "$v"; done 2>/dev/null <"$stat"
elif [ -r /proc/meminfo ]; then
  total= free=
  while read -r k v _; do
    case $k in MemTotal:) total=$v ;; MemAvailable:) free=$v ;; esac
  done </proc/meminfo
  if [ -n "$total" ] && [ -n "$free" ]; then
    field memorySource host
    field memoryLimitBytes "$((total * 1024))"
    field memoryUsedBytes "$(((total - free) * 1024))"
  fi
fi
for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$f" ] || continue
  while read -r k v; do [ "$k" = oom_kill ] && field oomKills "$v"; done <"$f"
done
if log=$(quick dmesg 2>/dev/null) && [ -n "$log" ]; then
  field kernelLog readable
  field xids "$(printf '%s\\n' "$log" | grep -o 'Xid[^,]*: [0-9]*' | grep -o '[0-9]*$' | sort -un | tr '\\n' ' ')"
else
  field kernelLog unreadable
fi
if command -v nvidia-smi >/dev/null 2>&1; then
  q=index,name,temperature.gpu,clocks.sm,clocks.max.sm,utilization.gpu,memory.used,memory.total
  for more in ,clocks_throttle_reasons.active,ecc.errors.uncorrected.volatile.total ,clocks_throttle_reasons.active ''; do
    if rows=$(quick nvidia-smi --query-gpu="$q$more" --format=csv,noheader,nounits 2>/dev/null); then
      field gpuTool yes
      printf '%s\\n' "$rows" | while IFS= read -r row; do field gpu "$row"; done
      exit 0
    fi
  done
  field gpuTool broken
else
  field gpuTool no
fi
exit 0
`;

/** Throws `remote_failed` when the pod did not answer in our form. */
export function podFactsFrom(stdout: Buffer): PodFacts {
  const text = stdout.toString('utf8');
  const begin = text.indexOf('gpu-lease-health\n');
  const fields: Record<string, string> = {};
  const gpus: Gpu[] = [];
  for (const line of text.slice(Math.max(begin, 0)).split('\n')) {
    const space = line.indexOf(' ');
    if (space <= 0) continue;
    const name = line.slice(0, space);
    const value = line.slice(space + 1).trim();
    if (name === 'gpu') gpus.push(...gpuFrom(value));
    else fields[name] = value;
  }
  const parsed = factsSchema.safeParse(fields);
  if (begin < 0 || !parsed.success)
    throw new RemoteError('remote_failed', 'The pod did not say how it is.', {
      foreignText: text.slice(0, 500),
    });
  return { ...parsed.data, gpus };
}

/** One CSV row of nvidia-smi; what it does not know ("[N/A]") is left out. */
function gpuFrom(row: string): readonly Gpu[] {
  const cells = row.split(',').map((cell) => cell.trim());
  const known = (index: number): { readonly value?: number } => {
    const cell = cells[index] ?? '';
    const value = /^0x[0-9a-f]+$/i.test(cell) ? Number.parseInt(cell, 16) : Number(cell);
    return cell !== '' && Number.isFinite(value) ? { value } : {};
  };
  const names = [
    'temperatureC',
    'clockMhz',
    'maxClockMhz',
    'utilizationPercent',
    'memoryUsedMib',
    'memoryTotalMib',
    'throttleMask',
    'eccUncorrected',
  ];
  const gpu: Record<string, string | number> = {
    index: cells[0] ?? '',
    name: (cells[1] ?? '').slice(0, 80),
  };
  names.forEach((name, index) => {
    const { value } = known(index + 2);
    if (value !== undefined) gpu[name] = value;
  });
  const parsed = gpuSchema.safeParse(gpu);
  return parsed.success ? [parsed.data] : [];
}
