import type { Offer, OfferQuery } from '../core/offer.ts';
import { isGpuMatch } from './gpu-name.ts';

interface Filter {
  readonly name: keyof OfferQuery;
  readonly exemptsRehearsal: boolean;
  isActive(query: OfferQuery): boolean;
  matches(offer: Offer, query: OfferQuery): boolean;
}

/** A fact the provider does not tell fails a filter that was asked for; reliability alone is a default and passes. */
const FILTERS: readonly Filter[] = [
  {
    name: 'gpu',
    exemptsRehearsal: true,
    isActive: ({ gpu }) => gpu.length > 0,
    matches: ({ gpu, vramGb }, query) =>
      gpu !== undefined && query.gpu.some((wanted) => isGpuMatch(wanted, gpu, vramGb)),
  },
  {
    name: 'gpuCount',
    exemptsRehearsal: true,
    isActive: () => true,
    matches: (offer, { gpuCount }) => offer.gpuCount === gpuCount,
  },
  {
    name: 'minVramGb',
    exemptsRehearsal: true,
    isActive: ({ minVramGb }) => minVramGb > 0,
    matches: ({ vramGb, gpuCount }, query) =>
      gpuCount === 0 || (vramGb !== undefined && vramGb >= query.minVramGb),
  },
  {
    name: 'minCuda',
    exemptsRehearsal: true,
    isActive: ({ minCuda }) => minCuda !== undefined,
    matches: ({ cuda }, { minCuda = 0 }) => cuda !== undefined && cuda >= minCuda,
  },
  {
    name: 'diskGb',
    exemptsRehearsal: true,
    isActive: () => true,
    matches: (offer, { diskGb }) => offer.diskGb >= diskGb,
  },
  {
    name: 'maxUsdPerHour',
    exemptsRehearsal: false,
    isActive: ({ maxUsdPerHour }) => maxUsdPerHour !== undefined,
    matches: ({ usdPerHour }, { maxUsdPerHour = Infinity }) => usdPerHour <= maxUsdPerHour,
  },
  {
    name: 'minReliability',
    exemptsRehearsal: false,
    isActive: ({ minReliability }) => minReliability > 0,
    matches: ({ reliability = 1 }, { minReliability }) => reliability >= minReliability,
  },
  {
    name: 'minDownloadMbps',
    exemptsRehearsal: true,
    isActive: ({ minDownloadMbps }) => minDownloadMbps !== undefined,
    matches: ({ downloadMbps }, { minDownloadMbps = 0 }) =>
      downloadMbps !== undefined && downloadMbps >= minDownloadMbps,
  },
  {
    name: 'minVcpu',
    exemptsRehearsal: false,
    isActive: ({ minVcpu }) => minVcpu !== undefined,
    matches: ({ vcpu }, { minVcpu = 0 }) => vcpu >= minVcpu,
  },
  {
    name: 'minRamGb',
    exemptsRehearsal: false,
    isActive: ({ minRamGb }) => minRamGb !== undefined,
    matches: ({ ramGb }, { minRamGb = 0 }) => ramGb >= minRamGb,
  },
  {
    name: 'regions',
    exemptsRehearsal: false,
    isActive: ({ regions }) => regions.length > 0,
    matches: ({ region }, { regions }) =>
      regions.some((wanted) => region.toLowerCase().includes(wanted.toLowerCase())),
  },
  {
    name: 'interruptible',
    exemptsRehearsal: true,
    isActive: () => true,
    matches: ({ pricing }, { interruptible }) => (pricing === 'interruptible') === interruptible,
  },
];

/** The filters that shut this offer out. A rehearsal has no GPU and takes disk and network as they are. */
export function failedFilters(offer: Offer, query: OfferQuery): readonly (keyof OfferQuery)[] {
  return FILTERS.filter(
    (filter) =>
      filter.isActive(query) &&
      !(offer.rehearsal === true && filter.exemptsRehearsal) &&
      !filter.matches(offer, query),
  ).map(({ name }) => name);
}

/** Asks for everything that has room for the disk: what is shut out is decided, and counted, here. */
export function withoutFilters({ vastQuery, diskGb, interruptible }: OfferQuery): OfferQuery {
  return { ...EVERYTHING, diskGb, interruptible, vastQuery };
}

/** `gpuCount` 0 means any number. */
export const EVERYTHING: OfferQuery = {
  gpu: [],
  gpuCount: 0,
  minVramGb: 0,
  diskGb: 1,
  minReliability: 0,
  regions: [],
  interruptible: false,
};

/** Every filter in force, defaults too. */
export function appliedFilters(
  query: OfferQuery,
): Readonly<Record<string, string | number | boolean | readonly string[]>> {
  const { gpu, regions, ...rest } = query;
  const lists = { ...(gpu.length > 0 ? { gpu } : {}), ...(regions.length > 0 ? { regions } : {}) };
  return {
    ...lists,
    ...Object.fromEntries(
      Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  };
}
