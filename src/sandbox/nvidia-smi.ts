import { randomBytes } from 'node:crypto';
import { shellQuote } from '../core/shell-quote.ts';
import { driverName } from './driver-name.ts';
import type { MachineGpu } from './machines.ts';

/**
 * An `nvidia-smi` in plain sh that says what the machine was sold as: `-L`, `--query-gpu` with any of the common fields in
 * every csv form, `--query-compute-apps`, `-i`, `--version` and the table. Idle, cool and without errors.
 */
export function nvidiaSmiScript(gpu: MachineGpu): string {
  const name = driverName(gpu.name, gpu.vramMib);
  const ecc = /\b(?:[AHLBV]\d{2,3}\w?|GH200|T4|RTX A\d+|Q RTX)\b/.test(name) ? '0' : '[N/A]';
  return `#!/bin/sh
# A made-up GPU: this machine belongs to a rehearsal.
name=${shellQuote(name)}
count=${Math.max(0, Math.trunc(gpu.count))}
total=${Math.max(1, Math.trunc(gpu.vramMib))}
driver=${shellQuote(gpu.driver)}
cuda=${shellQuote(gpu.cuda)}
ecc=${shellQuote(ecc)}
token=${randomBytes(4).toString('hex')}
capability=${shellQuote(gpu.computeCapability ?? '[N/A]')}
${BODY}`;
}

const BODY = String.raw`
query= apps= list= only= header=yes units=yes csv= version=
while [ $# -gt 0 ]; do
  case $1 in
    --query-gpu=*) query=\${1#*=} ;;
    --query-gpu) shift; query=$1 ;;
    --query-compute-apps=*|--query-compute-apps|--query-accounted-apps=*) apps=yes; case $1 in *=*) ;; *) shift ;; esac ;;
    --format=*) csv=\${1#*=} ;;
    --format) shift; csv=$1 ;;
    -L|--list-gpus) list=yes ;;
    -i|--id) shift; only=$1 ;;
    -i=*|--id=*) only=\${1#*=} ;;
    --version) version=yes ;;
    -h|--help) echo "NVIDIA System Management Interface -- v$driver"; exit 0 ;;
    *) echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."; exit 1 ;;
  esac
  shift
done
case ,$csv, in *,noheader,*) header= ;; esac
case ,$csv, in *,nounits,*) units= ;; esac
if [ "$count" -eq 0 ]; then echo 'No devices were found'; exit 6; fi
if [ -n "$version" ]; then
  printf 'NVIDIA-SMI version  : %s\nNVML version        : %s\nDRIVER version      : %s\nCUDA Version        : %s\n' "$driver" "\${driver%.*}" "$driver" "$cuda"
  exit 0
fi
uuid() { printf 'GPU-%s-7e1e-4a1e-9c0d-%08x%04x' "$token" "$total" "$1"; }
bus() { printf '00000000:%02X:00.0' "$(($1 + 1))"; }
wanted() { [ -z "$only" ] && return 0; case ,$only, in *,"$1",*) return 0 ;; esac; return 1; }
if [ -n "$list" ]; then
  n=0
  while [ "$n" -lt "$count" ]; do
    wanted "$n" && printf 'GPU %s: %s (UUID: %s)\n' "$n" "$name" "$(uuid "$n")"
    n=$((n + 1))
  done
  exit 0
fi
if [ -n "$apps" ]; then
  [ -n "$header" ] && echo 'pid, process_name, used_gpu_memory [MiB]'
  exit 0
fi
# value FIELD INDEX: sets v and, where there is one, u (the unit)
value() {
  u=
  case $1 in
    index) v=$2 ;;
    count) v=$count ;;
    name|gpu_name) v=$name ;;
    driver_version) v=$driver ;;
    uuid|gpu_uuid) v=$(uuid "$2") ;;
    pci.bus_id|gpu_bus_id) v=$(bus "$2") ;;
    serial|gpu_serial|mig.mode.current|mig.mode.pending|ecc.mode.current|ecc.mode.pending) v='[N/A]' ;;
    ecc.errors.corrected.volatile.total|ecc.errors.uncorrected.volatile.total|ecc.errors.corrected.aggregate.total|ecc.errors.uncorrected.aggregate.total) v=$ecc ;;
    retired_pages.pending) v='[N/A]' ;;
    memory.total) v=$total u=MiB ;;
    memory.used) v=3 u=MiB ;;
    memory.reserved) v=350 u=MiB ;;
    memory.free) v=$((total - 353)) u=MiB ;;
    utilization.gpu|utilization.memory) v=0 u=% ;;
    temperature.gpu) v=34 ;;
    temperature.memory) v='N/A' ;;
    fan.speed) v=30 u=% ;;
    pstate) v=P8 ;;
    power.draw|power.draw.instant|power.draw.average) v=21.44 u=W ;;
    power.limit|enforced.power.limit|power.default_limit|power.max_limit) v=350.00 u=W ;;
    clocks.sm|clocks.gr|clocks.current.sm|clocks.current.graphics) v=210 u=MHz ;;
    clocks.mem|clocks.current.memory) v=405 u=MHz ;;
    clocks.max.sm|clocks.max.gr|clocks.max.graphics) v=2520 u=MHz ;;
    clocks.max.mem|clocks.max.memory) v=10501 u=MHz ;;
    clocks_throttle_reasons.active|clocks_event_reasons.active) v=0x0000000000000001 ;;
    persistence_mode|display_active|display_mode) v=Disabled ;;
    compute_mode) v=Default ;;
    pcie.link.gen.current|pcie.link.gen.max) v=4 ;;
    pcie.link.width.current|pcie.link.width.max) v=16 ;;
    compute_cap) v=$capability ;;
    vbios_version) v='[N/A]' ;;
    timestamp) v=$(date '+%Y/%m/%d %H:%M:%S.000') ;;
    *) return 1 ;;
  esac
}
if [ -n "$query" ]; then
  case $csv in csv|csv,*) ;; *) echo '"--format=" switch is missing. Please run "nvidia-smi -h" for help.'; exit 1 ;; esac
  fields=$(printf '%s' "$query" | tr ',' ' ')
  head=
  for field in $fields; do
    value "$field" 0 || { printf 'Field "%s" is not a valid field to query.\n\n' "$field"; exit 2; }
    head="\${head:+$head, }$field\${u:+ [$u]}"
  done
  [ -n "$header" ] && printf '%s\n' "$head"
  n=0
  while [ "$n" -lt "$count" ]; do
    if wanted "$n"; then
      row=
      for field in $fields; do
        value "$field" "$n"
        [ -n "$units" ] && [ -n "$u" ] && v="$v $u"
        row="\${row:+$row, }$v"
      done
      printf '%s\n' "$row"
    fi
    n=$((n + 1))
  done
  exit 0
fi
line='+-----------------------------------------------------------------------------------------+'
date
printf '%s\n' "$line"
printf '| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: %-8s |\n' "$driver" "$driver" "$cuda"
echo '|-----------------------------------------+------------------------+----------------------+'
echo '| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |'
echo '| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |'
echo '|=========================================+========================+======================|'
n=0
while [ "$n" -lt "$count" ]; do
  if wanted "$n"; then
    printf '| %3s  %-29.29s Off  |   %s Off |                  N/A |\n' "$n" "$name" "$(bus "$n")"
    printf '| 30%%   34C    P8              21W / 350W | %7sMiB / %6sMiB |      0%%      Default |\n' 3 "$total"
    echo '+-----------------------------------------+------------------------+----------------------+'
  fi
  n=$((n + 1))
done
echo
printf '%s\n' "$line"
echo '| Processes:                                                                              |'
echo '|  GPU   GI   CI        PID   Type   Process name                              GPU Memory |'
echo '|=========================================================================================|'
echo '|  No running processes found                                                             |'
printf '%s\n' "$line"
`.replaceAll('\\${', '${');
