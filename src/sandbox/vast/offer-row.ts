import type { Json } from './answers.ts';
import { rounded } from './dice.ts';
import type { Ask, Machine } from './market.ts';

const HOURS_PER_MONTH = 720;
/** The most that a prepaid rental can save. */
const MAX_DISCOUNT = 0.4;
const RESERVED_DISCOUNT = 0.2;

export const diskUsdPerHour = (diskGb: number, usdPerGbMonth: number): number =>
  (diskGb * usdPerGbMonth) / HOURS_PER_MONTH;

/** "570.124.04" is told as 570124004 too. */
export function driverNumber(driver: string): number {
  const [major = 0, minor = 0, patch = 0] = driver.split('.').map(Number);
  return major * 1_000_000 + minor * 1_000 + patch;
}

export interface PriceParts {
  readonly gpuCostPerHour: number;
  readonly diskHour: number;
  readonly totalHour: number;
  readonly discountTotalHour: number;
  readonly discountedTotalPerHour: number;
}
export function priceParts(gpu: number, disk: number, discount = 0): PriceParts {
  const off = gpu * discount;
  return {
    gpuCostPerHour: gpu,
    diskHour: disk,
    totalHour: gpu + disk,
    discountTotalHour: off,
    discountedTotalPerHour: gpu + disk - off,
  };
}

/** What offers and instances say about the machine in the same words. */
export function machineFacts(machine: Machine, count: number): Json {
  const share = count / machine.gpus;
  const { gpu } = machine;
  const bandwidth = (gpu.memoryGbPerSecond * 0.9).toFixed(1);
  return {
    machine_id: machine.machineId,
    host_id: machine.hostId,
    hosting_type: machine.datacenter ? 1 : 0,
    gpu_name: gpu.name,
    gpu_arch: 'nvidia',
    num_gpus: count,
    gpu_ram: gpu.vramMb,
    gpu_frac: share,
    gpu_lanes: machine.datacenter ? 16 : 8,
    gpu_mem_bw: Number(bandwidth),
    gpu_max_power: gpu.maxPowerWatts,
    gpu_max_temp: 90,
    gpu_display_active: false,
    compute_cap: gpu.computeCap,
    cuda_max_good: machine.cuda,
    driver_version: machine.driver,
    driver_vers: driverNumber(machine.driver),
    total_flops: rounded(gpu.tflops * count, 2),
    dlperf: rounded(gpu.tflops * count * 1.3, 3),
    cpu_name: machine.cpuName,
    cpu_arch: machine.cpuArch,
    cpu_cores: machine.cpuCores,
    cpu_cores_effective: rounded(machine.cpuThreads * share, 2),
    cpu_ghz: machine.cpuGhz,
    cpu_ram: machine.ramMb,
    has_avx: machine.cpuArch === 'amd64' ? 1 : 0,
    disk_bw: machine.diskMbPerSecond,
    disk_name: machine.diskName,
    mobo_name: 'ROME2D32GM-2T',
    pci_gen: 4,
    pcie_bw: machine.datacenter ? 24.1 : 11.7,
    bw_nvlink: 0,
    inet_up: machine.upMbps,
    inet_down: machine.downMbps,
    inet_up_cost: machine.upUsdPerGb,
    inet_down_cost: machine.downUsdPerGb,
    internet_up_cost_per_tb: machine.upUsdPerGb * 1024,
    internet_down_cost_per_tb: machine.downUsdPerGb * 1024,
    direct_port_count: machine.directPorts,
    static_ip: machine.staticIp,
    geolocation: machine.geolocation,
    geolocode: 42_424_242,
    os_version: machine.osVersion,
    reliability: machine.reliability,
    reliability2: machine.reliability,
    reliability_mult: 0.97,
    expected_reliability: machine.reliability,
    verification: machine.verification,
    vericode: machine.verification === 'verified' ? 1 : 0,
    is_vm_deverified: false,
    external: machine.external,
    storage_cost: machine.storageUsdPerGbMonth,
    credit_discount_max: MAX_DISCOUNT,
    logo: '/static/logos/vastai_small2.png',
    webpage: null,
    time_remaining: '',
    time_remaining_isbid: '',
  };
}

export interface RowQuery {
  readonly storageGb: number;
  readonly type: 'on-demand' | 'bid' | 'reserved';
  readonly nowSeconds: number;
  readonly rentable: boolean;
  /** Storage that other instances on that machine have taken, GB. */
  readonly usedDiskGb: number;
  /** GB that are left for volumes; `null`: none is offered. */
  readonly volumeGb: number | null;
}

/** An offer as the search tells it, priced with `storageGb` of disk. */
export function offerRow(ask: Ask, query: RowQuery): Json {
  const { machine } = ask;
  const { storageGb, type, nowSeconds } = query;
  const base = type === 'bid' ? ask.minBidUsdPerHour : ask.usdPerHour;
  const disk = diskUsdPerHour(storageGb, machine.storageUsdPerGbMonth);
  const total = base + disk;
  const discount = type === 'reserved' ? RESERVED_DISCOUNT : 0;
  const facts = machineFacts(machine, ask.count);
  const flops = machine.gpu.tflops * ask.count;
  return {
    id: ask.id,
    ask_contract_id: ask.id,
    bundle_id: 900_000_000 + ask.id,
    bundled_results: null,
    cluster_id: null,
    ...facts,
    gpu_ids: Array.from({ length: ask.count }, (_, index) => index),
    gpu_total_ram: machine.gpu.vramMb * ask.count,
    disk_space: rounded(Math.max(0, machine.diskGb - query.usedDiskGb), 1),
    public_ipaddr: machine.publicIp,
    dph_base: base,
    storage_total_cost: disk,
    dph_total: total,
    dph_total_adj: total,
    min_bid: ask.minBidUsdPerHour,
    is_bid: type === 'bid',
    search: priceParts(base, disk, discount),
    instance: priceParts(0, disk),
    discount_rate: discount,
    discounted_hourly: base * discount,
    discounted_dph_total: total - base * discount,
    vram_costperhour: base / (machine.gpu.vramMb * ask.count),
    dlperf_per_dphtotal: (flops * 1.3) / total,
    flops_per_dphtotal: flops / total,
    score: rounded((flops * machine.reliability * 1.2) / total, 3),
    rentable: query.rentable,
    rented: !query.rentable,
    start_date: machine.startSeconds,
    end_date: machine.endSeconds,
    duration: machine.endSeconds - nowSeconds,
    avail_vol_ask_id: query.volumeGb === null ? null : machine.volumeAskId,
    avail_vol_dph:
      query.volumeGb === null ? null : diskUsdPerHour(query.volumeGb, machine.storageUsdPerGbMonth),
    avail_vol_size: query.volumeGb,
    vms_enabled: false,
    resource_type: 'gpu',
    rn: 1,
    hostname: null,
    nw_disk_min_bw: null,
    nw_disk_max_bw: null,
    nw_disk_avg_bw: null,
  };
}
