export type Region = 'NORTH_AMERICA' | 'EUROPE' | 'ASIA' | 'OCEANIA';

/** A place of the secure cloud. */
export interface DataCenter {
  readonly id: string;
  readonly name: string;
  readonly region: Region;
  readonly country: string;
  /** Whether network volumes can exist there. */
  readonly storage: boolean;
  /** Whether new deployments are meant to go there. */
  readonly listed: boolean;
  readonly globalNetwork: boolean;
  readonly compliance: readonly string[];
  /** Whether the closed list of REST v1 knows it. */
  readonly inV1: boolean;
}

type Row = readonly [id: string, flags?: string];
/** s: storage; g: global network; u: unlisted; n: newer than REST v1. */
const ROWS: readonly Row[] = [
  ['EU-RO-1', 'sg'],
  ['CA-MTL-1', 's'],
  ['EU-SE-1', 'sg'],
  ['US-IL-1', 'sg'],
  ['EUR-IS-1', 'sg'],
  ['EU-CZ-1', 'sg'],
  ['US-TX-3', 'sg'],
  ['EUR-IS-2', 's'],
  ['US-KS-2', 'sg'],
  ['US-GA-2', 'sg'],
  ['US-WA-1', 's'],
  ['US-TX-1', ''],
  ['CA-MTL-3', 'sg'],
  ['EU-NL-1', 's'],
  ['US-TX-4', 'sg'],
  ['US-CA-2', 'sg'],
  ['US-NC-1', 'sg'],
  ['OC-AU-1', 'g'],
  ['US-DE-1', ''],
  ['EUR-IS-3', ''],
  ['CA-MTL-2', ''],
  ['AP-JP-1', 'sg'],
  ['EUR-NO-1', 's'],
  ['EU-FR-1', 's'],
  ['US-KS-3', ''],
  ['US-GA-1', 'u'],
  ['US-MO-1', 'sn'],
  ['US-MD-1', 'sn'],
];

const REGIONS: Readonly<Record<string, Region>> = {
  US: 'NORTH_AMERICA',
  CA: 'NORTH_AMERICA',
  EU: 'EUROPE',
  EUR: 'EUROPE',
  AP: 'ASIA',
  OC: 'OCEANIA',
};

export const DATA_CENTERS: readonly DataCenter[] = ROWS.map(([id, flags = '']) => {
  const [area = '', place = ''] = id.split('-');
  const region = REGIONS[area] ?? 'NORTH_AMERICA';
  return {
    id,
    name: id,
    region,
    country: area === 'US' || area === 'CA' ? area : place,
    storage: flags.includes('s'),
    listed: !flags.includes('u'),
    globalNetwork: flags.includes('g'),
    compliance: region === 'EUROPE' ? ['GDPR', 'ISO_IEC_27001'] : ['SOC_2_TYPE_2'],
    inV1: !flags.includes('n'),
  };
});

export const dataCenter = (id: string): DataCenter | undefined =>
  DATA_CENTERS.find((center) => center.id === id);

/** Of community hosts, which are in no data centre. */
export const COMMUNITY_COUNTRIES: readonly [string, ...string[]] = [
  'US',
  'CA',
  'DE',
  'SE',
  'PL',
  'BG',
  'FR',
  'RO',
];
