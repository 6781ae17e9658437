import type { Offer, OfferQuery } from '../core/offer.ts';
import { gpuMatcher } from './gpu-name.ts';

export type FilterName = keyof OfferQuery;
type Test = (offer: Offer) => boolean;
interface Filter {
  readonly name: FilterName;
  readonly exemptsRehearsal: boolean;
  /** `undefined`: the query does not ask for it. */
  readonly test: (query: OfferQuery) => Test | undefined;
}

const atLeast = (
  least: number | undefined,
  fact: (offer: Offer) => number | undefined,
): Test | undefined =>
  least === undefined
    ? undefined
    : (offer) => {
        const value = fact(offer);
        return value !== undefined && value >= least;
      };

/** A fact the provider does not tell fails a filter that was asked for; reliability alone is a default and passes. */
const FILTERS: readonly Filter[] = [
  {
    name: 'gpu',
    exemptsRehearsal: true,
    test({ gpu }) {
      if (gpu.length === 0) return undefined;
      const matches = gpuMatcher(gpu);
      return (offer) => offer.gpu !== undefined && matches(offer.gpu, offer.vramGb);
    },
  },
  {
    name: 'gpuCount',
    exemptsRehearsal: true,
    test:
      ({ gpuCount }) =>
      (offer) =>
        offer.gpuCount === gpuCount,
  },
  {
    name: 'minVramGb',
    exemptsRehearsal: true,
    test: ({ minVramGb }) =>
      minVramGb > 0
        ? ({ vramGb, gpuCount }) => gpuCount === 0 || (vramGb !== undefined && vramGb >= minVramGb)
        : undefined,
  },
  {
    name: 'minCuda',
    exemptsRehearsal: true,
    test: ({ minCuda }) => atLeast(minCuda, ({ cuda }) => cuda),
  },
  {
    name: 'diskGb',
    exemptsRehearsal: true,
    test: ({ diskGb }) => atLeast(diskGb, (offer) => offer.diskGb),
  },
  {
    name: 'maxUsdPerHour',
    exemptsRehearsal: false,
    test: ({ maxUsdPerHour }) =>
      maxUsdPerHour === undefined ? undefined : ({ usdPerHour }) => usdPerHour <= maxUsdPerHour,
  },
  {
    name: 'minReliability',
    exemptsRehearsal: false,
    test: ({ minReliability }) =>
      minReliability > 0 ? ({ reliability = 1 }) => reliability >= minReliability : undefined,
  },
  {
    name: 'minDownloadMbps',
    exemptsRehearsal: true,
    test: ({ minDownloadMbps }) => atLeast(minDownloadMbps, ({ downloadMbps }) => downloadMbps),
  },
  {
    name: 'minVcpu',
    exemptsRehearsal: false,
    test: ({ minVcpu }) => atLeast(minVcpu, ({ vcpu }) => vcpu),
  },
  {
    name: 'minRamGb',
    exemptsRehearsal: false,
    test: ({ minRamGb }) => atLeast(minRamGb, ({ ramGb }) => ramGb),
  },
  {
    name: 'regions',
    exemptsRehearsal: false,
    test({ regions }) {
      const wanted = regions.map(regionWords);
      return regions.length === 0
        ? undefined
        : ({ region }) => {
            const words = regionWords(region);
            return wanted.some((words_) => words.includes(words_));
          };
    },
  },
  {
    name: 'interruptible',
    exemptsRehearsal: true,
    test:
      ({ interruptible }) =>
      ({ pricing }) =>
        (pricing === 'interruptible') === interruptible,
  },
];

/** The filters of a query, made ready for thousands of offers. */
export interface OfferFilter {
  passes(offer: Offer): boolean;
  /** The filters that shut this offer out. */
  failed(offer: Offer): readonly FilterName[];
}

/** A rehearsal has no GPU and takes disk and network as they are. */
export function offerFilter(query: OfferQuery): OfferFilter {
  const tests = FILTERS.flatMap(({ name, exemptsRehearsal, test }) => {
    const own = test(query);
    return own === undefined ? [] : { name, exemptsRehearsal, own };
  });
  const isShutOut = (offer: Offer, test: (typeof tests)[number]): boolean =>
    !(offer.rehearsal === true && test.exemptsRehearsal) && !test.own(offer);
  return {
    passes: (offer) => !tests.some((test) => isShutOut(offer, test)),
    failed: (offer) => tests.filter((test) => isShutOut(offer, test)).map(({ name }) => name),
  };
}

/** Words apart, so that "us" is no part of "Russia". */
function regionWords(region: string): string {
  return ` ${region
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .join(' ')
    .trim()} `;
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

/** Small enough that no machine is shut out, and what every cloud gives. */
const LEAST_DISK_GB = 10;

/** Asks for everything of that kind: what is shut out is decided, and counted, here. */
export function withoutFilters({ vastQuery, diskGb, interruptible }: OfferQuery): OfferQuery {
  return {
    ...EVERYTHING,
    diskGb: Math.min(diskGb, LEAST_DISK_GB),
    interruptible,
    vastQuery,
  };
}

/** The offer as it would be with another disk, where the cloud tells what the disk costs. */
export function withDisk(offer: Offer, fromGb: number, toGb: number): Offer {
  const { diskUsdPerHour, usdPerHour } = offer;
  if (diskUsdPerHour === undefined || fromGb === toGb) return offer;
  const disk = (diskUsdPerHour / fromGb) * toGb;
  return { ...offer, diskUsdPerHour: disk, usdPerHour: usdPerHour - diskUsdPerHour + disk };
}

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
