import type { Json } from './answers.ts';
import { ratesOf } from './billing.ts';
import type { Instance } from './instance.ts';
import { diskUsdPerHour, machineFacts, priceParts } from './offer-row.ts';
import { sizeOf, type World } from './world.ts';

/** A port that nothing listens on, told as the proxy's while there is none. */
const NO_PORT = 9;

/** What docker would say about the ports: only while the container runs and only what is mapped. */
export function portsRow(world: World, instance: Instance): Json | undefined {
  const { actual, mapped, faults, runningAt } = instance;
  if (actual !== 'running' || runningAt === undefined) return undefined;
  const late = faults.get('mapping-late');
  const hides =
    faults.has('mapping-missing') ||
    (late !== undefined && world.clock.nowSeconds() < runningAt + sizeOf(late, 30));
  const ports: Record<string, unknown> = {};
  for (const [name, { port }] of mapped)
    if (name !== '22/tcp' || !hides) ports[name] = [{ HostIp: '0.0.0.0', HostPort: String(port) }];
  return Object.keys(ports).length === 0 ? undefined : ports;
}

function prices(instance: Instance): Json {
  const { ask, diskGb, usdPerHour } = instance;
  const disk = diskUsdPerHour(diskGb, ask.machine.storageUsdPerGbMonth);
  const now = ratesOf(instance);
  return {
    dph_base: usdPerHour,
    dph_total: usdPerHour + disk,
    storage_total_cost: disk,
    search: priceParts(usdPerHour, disk),
    instance: priceParts(now.gpuUsdPerHour, now.diskUsdPerHour),
    min_bid: ask.minBidUsdPerHour,
    is_bid: instance.isBid,
    vram_costperhour: usdPerHour / (ask.machine.gpu.vramMb * ask.count),
  };
}

/** The container and its host as they were measured last. */
function measured({ actual, ask, diskGb }: Instance): Json {
  const runs = actual === 'running';
  return {
    gpu_util: runs ? 0 : null,
    gpu_temp: runs ? 39 : null,
    cpu_util: 0,
    mem_limit: runs ? (ask.machine.ramMb * ask.count) / ask.machine.gpus / 1_024 : null,
    mem_usage: runs ? 0.5 : null,
    vmem_usage: runs ? 0.5 : null,
    disk_usage: runs ? Math.min(1.2, diskGb) : -1,
    disk_util: runs ? 0.02 : -1,
    uptime_mins: null,
  };
}

function connection(world: World, instance: Instance): Json {
  const { proxy, order, faults, ask, id } = instance;
  // The tool adds one to the proxy's port where there is a notebook.
  const shift = order.runtype.jupyter ? 1 : 0;
  const ports = portsRow(world, instance);
  const address = faults.has('mapping-private') ? '192.168.1.7' : '127.0.0.1';
  return {
    ssh_host: order.runtype.ssh ? '127.0.0.1' : null,
    ssh_idx: '5',
    ssh_port: order.runtype.ssh ? (proxy?.port ?? NO_PORT) - shift : null,
    machine_dir_ssh_port: 5_300 + (id % 1_000),
    public_ipaddr: `${address}\n`,
    local_ipaddrs: '10.2.202.31 172.17.0.1 \n',
    direct_port_count: ask.machine.directPorts,
    direct_port_start: -1,
    direct_port_end: -1,
    ...(ports === undefined ? {} : { ports }),
  };
}

/** An instance as a single look tells it. */
export function instanceRow(world: World, instance: Instance): Json {
  const { ask, order } = instance;
  const now = world.clock.nowSeconds();
  return {
    ...machineFacts(ask.machine, ask.count),
    ...prices(instance),
    ...measured(instance),
    ...connection(world, instance),
    id: instance.id,
    actual_status: instance.actual,
    intended_status: instance.intended,
    cur_state: instance.cur,
    next_state: instance.next,
    status_msg: instance.statusMsg,
    label: instance.label,
    image_uuid: order.image,
    image_args: order.args,
    image_runtype: order.runtype.stored,
    extra_env: order.env,
    onstart: order.onstart,
    template_id: order.template?.id ?? null,
    template_hash_id: order.template?.hashId ?? null,
    template_name: order.template?.name ?? null,
    bundle_id: 900_000_000 + ask.id,
    start_date: instance.createdAt,
    end_date: instance.endAt,
    duration: instance.endAt - now,
    gpu_totalram: ask.machine.gpu.vramMb * ask.count,
    disk_space: instance.diskGb,
    country_code: ask.machine.geolocation?.slice(-2) ?? null,
    rentable: false,
    score: 240.1,
    dlperf_per_dphtotal: (ask.machine.gpu.tflops * ask.count * 1.3) / instance.usdPerHour,
    flops_per_dphtotal: (ask.machine.gpu.tflops * ask.count) / instance.usdPerHour,
    jupyter_token: instance.jupyterToken,
    credit_balance: instance.prepaidUsd > 0 ? instance.prepaidUsd : null,
    credit_discount: null,
    client_run_time: 1.1,
    host_run_time: 2_592_000,
  };
}

/** Lists say one thing more. */
export function listedRow(world: World, instance: Instance): Json {
  const { order } = instance;
  return {
    ...instanceRow(world, instance),
    volume_info:
      order.volumeId === undefined
        ? []
        : [
            {
              id: order.volumeId,
              name: `V.${order.volumeId}`,
              mount_path: order.mountPath ?? null,
            },
          ],
  };
}
