/** What can be read over GraphQL. A field that is not here is refused before anything is done. */
export const READS = `
scalar Void
scalar DateTime
enum CloudTypeEnum { SECURE COMMUNITY ALL }
enum PodStatus { CREATED RUNNING RESTARTING EXITED PAUSED DEAD TERMINATED }
enum PodType { INTERRUPTABLE RESERVED BID BACKGROUND }

type Query {
  pod(input: PodFilter): Pod
  myself: User
  gpuTypes(input: GpuTypeFilter): [GpuType]
  dataCenters: [DataCenter]
  cpuTypes: [CpuType]
  cpuFlavors: [CpuFlavor]
  countryCodes: [String]
  podTemplates(input: PodTemplateInput): [PodTemplate]
  podTemplate(id: String!): PodTemplate
  serverlessGpuPools: [ServerlessGpuPool]
}
input PodFilter { podId: String! }
input GpuTypeFilter { id: String ids: [String] }
input PodTemplateInput { isRunpod: Boolean isPublic: Boolean }

type User {
  id: String
  authId: String
  email: String
  pubKey: String
  clientBalance: Float
  currentSpendPerHr: Float
  spendLimit: Int
  underBalance: Boolean
  minBalance: Float
  notifyPodsStale: Boolean
  notifyPodsGeneral: Boolean
  notifyLowBalance: Boolean
  pods: [Pod]
  networkVolumes: [NetworkVolume]
  podTemplates: [PodTemplate]
  containerRegistryCreds: [ContainerRegistryAuth]
  secrets: [Secret]
  spendDetails: SpendDetails
}
type SpendDetails { localStoragePerHour: Float networkStoragePerHour: Float gpuComputePerHour: Float }
type ContainerRegistryAuth { id: String name: String }
type Secret { id: String name: String description: String }
type NetworkVolume { id: String name: String size: Int dataCenterId: String dataCenter: DataCenter }

type Pod {
  id: String!
  name: String
  desiredStatus: PodStatus!
  imageName: String
  env: [String]
  ports: String
  podType: PodType
  gpuCount: Int!
  vcpuCount: Float!
  memoryInGb: Float!
  containerDiskInGb: Int
  volumeInGb: Float
  volumeMountPath: String
  volumeKey: String
  volumeEncrypted: Boolean
  costPerHr: Float!
  adjustedCostPerHr: Float
  costMultiplier: Float
  createdAt: DateTime
  lastStartedAt: DateTime
  lastStatusChange: String
  uptimeSeconds: Int
  dockerArgs: String
  dockerId: String
  machineId: String
  machineType: String
  templateId: String
  networkVolumeId: String
  networkVolume: NetworkVolume
  containerRegistryAuthId: String
  locked: Boolean
  version: Int
  slsVersion: Int
  aiApiId: String
  apiKey: String
  consumerUserId: String
  lowestBidPriceToResume: Float
  cpuFlavorId: String
  clusterIp: String
  gpus: [Gpu]
  runtime: PodRuntime
  machine: PodMachineInfo
  registry: PodRegistry
}
type Gpu { id: String podId: String }
type PodRegistry { auth: String url: String user: String username: String }
type PodRuntime {
  uptimeInSeconds: Int
  container: PodRuntimeContainer
  gpus: [PodRuntimeGpus]
  ports: [PodRuntimePorts]
}
type PodRuntimeContainer { cpuPercent: Float memoryPercent: Float }
type PodRuntimeGpus { id: String gpuUtilPercent: Float memoryUtilPercent: Float }
type PodRuntimePorts { ip: String isIpPublic: Boolean privatePort: Int publicPort: Int type: String }
type PodMachineInfo {
  podHostId: String
  gpuDisplayName: String
  gpuTypeId: String
  location: String
  dataCenterId: String
  secureCloud: Boolean
  supportPublicIp: Boolean
  costPerHr: Float
  currentPricePerGpu: Float
  diskMBps: Int
  gpuAvailable: Int
  maxDownloadSpeedMbps: Int
  maxUploadSpeedMbps: Int
  maintenanceStart: String
  maintenanceEnd: String
  maintenanceNote: String
  note: String
  cpuCount: Int
  cpuTypeId: String
  vcpuTotal: Int
  memoryTotal: Int
  minPodGpuCount: Int
  runpodIp: String
}

type GpuType {
  id: String
  displayName: String
  manufacturer: String
  memoryInGb: Int
  cudaCores: Int
  secureCloud: Boolean
  communityCloud: Boolean
  securePrice: Float
  communityPrice: Float
  oneWeekPrice: Float
  oneMonthPrice: Float
  threeMonthPrice: Float
  sixMonthPrice: Float
  communitySpotPrice: Float
  secureSpotPrice: Float
  maxGpuCount: Int
  maxGpuCountCommunityCloud: Int
  maxGpuCountSecureCloud: Int
  minPodGpuCount: Int
  lowestPrice(input: GpuLowestPriceInput): LowestPrice
}
input GpuLowestPriceInput {
  gpuCount: Int
  secureCloud: Boolean
  countryCode: String
  dataCenterId: String
  minDisk: Int
  minDownload: Int
  minUpload: Int
  minMemoryInGb: Int
  minVcpuCount: Int
  supportPublicIp: Boolean
  totalDisk: Int
  cudaVersion: String
  allowedCudaVersions: [String]
  compliance: [String]
  includeAiApi: Boolean
  globalNetwork: Boolean
}
type LowestPrice {
  gpuName: String
  gpuTypeId: String
  minimumBidPrice: Float
  uninterruptablePrice: Float
  minMemory: Int
  minVcpu: Int
  rentalPercentage: Float
  rentedCount: Int
  totalCount: Int
  stockStatus: String
  minDownload: Int
  minDisk: Int
  minUpload: Int
  countryCode: String
  supportPublicIp: Boolean
  compliance: [String]
  maxUnreservedGpuCount: Int
  availableGpuCounts: [Int]
  gpuTypeCudaVersions: [CudaVersionAvailability]
}
type CudaVersionAvailability { cudaVersion: String availability: String }
type DataCenter {
  id: String
  name: String
  location: String
  storageSupport: Boolean
  listed: Boolean
  compliance: [String]
  gpuAvailability(input: GpuAvailabilityInput): [GpuAvailability]
}
input GpuAvailabilityInput { gpuCount: Int secureCloud: Boolean minDisk: Int minMemoryInGb: Int minVcpuCount: Int allowedCudaVersions: [String] includeAiApi: Boolean }
type GpuAvailability {
  id: String
  available: Boolean
  stockStatus: String
  gpuTypeId: String
  displayName: String
  gpuTypeDisplayName: String
}
type CpuType { id: String displayName: String manufacturer: String cores: Int threadsPerCore: Int groupId: String }
type CpuFlavor { id: String groupId: String groupName: String displayName: String minVcpu: Int maxVcpu: Int vcpuBurstable: Boolean ramMultiplier: Float diskLimitPerVcpu: Int }
type ServerlessGpuPool { id: String gpuTypeIds: [String] }
type EnvironmentVariable { key: String value: String }
type PodTemplate {
  id: String
  name: String
  imageName: String
  dockerArgs: String
  env: [EnvironmentVariable]
  ports: String
  containerDiskInGb: Int
  volumeInGb: Int
  volumeMountPath: String
  startSsh: Boolean
  startJupyter: Boolean
  startScript: String
  readme: String
  category: String
  isPublic: Boolean
  isRunpod: Boolean
  isServerless: Boolean
  containerRegistryAuthId: String
  advancedStart: Boolean
  boundEndpointId: String
  earned: Float
  runtimeInMin: Int
}
`;
