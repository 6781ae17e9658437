const CREATE = `
  cloudType: CloudTypeEnum
  gpuTypeId: String
  gpuTypeIdList: [String]
  gpuCount: Int
  templateId: String
  imageName: String
  name: String
  containerDiskInGb: Int
  volumeInGb: Int
  volumeMountPath: String
  volumeKey: String
  networkVolumeId: String
  minVcpuCount: Int
  minMemoryInGb: Int
  minDisk: Int
  minDownload: Int
  minUpload: Int
  dockerArgs: String
  ports: String
  env: [EnvironmentVariableInput]
  supportPublicIp: Boolean
  startSsh: Boolean
  startJupyter: Boolean
  dataCenterId: String
  countryCode: String
  allowedCudaVersions: [String]
  minCudaVersion: String
  cudaVersion: String
  stopAfter: DateTime
  terminateAfter: DateTime
  deployCost: Float
  containerRegistryAuthId: String
  compliance: [String]
  instanceIds: [String]
  computeType: String
  aiApiId: String
  globalNetwork: Boolean
`;

/** What can be changed over GraphQL. */
export const WRITES = `
type Mutation {
  podFindAndDeployOnDemand(input: PodFindAndDeployOnDemandInput!): Pod
  podRentInterruptable(input: PodRentInterruptableInput!): Pod
  podResume(input: PodResumeInput!): Pod
  podBidResume(input: PodBidResumeInput!): Pod
  podStop(input: PodStopInput!): Pod
  podTerminate(input: PodTerminateInput!): Void
  podEditJob(input: PodEditJobInput!): Pod
  saveTemplate(input: SaveTemplateInput!): PodTemplate
  deleteTemplate(templateName: String): Void
  updateUserSettings(input: UpdateUserSettingsInput!): User
  saveRegistryAuth(input: SaveRegistryAuthInput!): ContainerRegistryAuth
  updateRegistryAuth(input: UpdateRegistryAuthInput!): ContainerRegistryAuth
  deleteRegistryAuth(registryAuthId: String!): Boolean
  createNetworkVolume(input: CreateNetworkVolumeInput!): NetworkVolume
  updateNetworkVolume(input: UpdateNetworkVolumeInput!): NetworkVolume
  deleteNetworkVolume(input: DeleteNetworkVolumeInput!): Void
  secretCreate(input: SecretCreateInput!): Secret
  secretDelete(id: String!): Void
}
input EnvironmentVariableInput { key: String! value: String! }
input PodFindAndDeployOnDemandInput { ${CREATE} }
input PodRentInterruptableInput { ${CREATE} bidPerGpu: Float }
input PodResumeInput { podId: String! gpuCount: Int syncMachine: Boolean computeType: String }
input PodBidResumeInput { podId: String! bidPerGpu: Float! gpuCount: Int! }
input PodStopInput { podId: String! incrementVersion: Boolean }
input PodTerminateInput { podId: String! }
input PodEditJobInput {
  podId: String!
  dockerArgs: String
  imageName: String
  env: [EnvironmentVariableInput]
  port: Int
  ports: String
  containerDiskInGb: Int
  volumeInGb: Int
  volumeMountPath: String
  containerRegistryAuthId: String
}
input SaveTemplateInput {
  id: String
  name: String!
  imageName: String!
  containerDiskInGb: Int!
  volumeInGb: Int!
  dockerArgs: String
  env: [EnvironmentVariableInput]
  ports: String
  readme: String
  volumeMountPath: String
  isServerless: Boolean
  isPublic: Boolean
  startSsh: Boolean
  startJupyter: Boolean
  containerRegistryAuthId: String
}
input UpdateUserSettingsInput { pubKey: String }
input SaveRegistryAuthInput { name: String! username: String! password: String! }
input UpdateRegistryAuthInput { id: String! username: String! password: String! }
input CreateNetworkVolumeInput { name: String! size: Int! dataCenterId: String! }
input UpdateNetworkVolumeInput { id: String! name: String size: Int }
input DeleteNetworkVolumeInput { id: String! }
input SecretCreateInput { name: String! value: String! description: String }
`;
