/*
 * Every field stands in RunPod's own reference or was seen in use. Unknown fields fail the whole question, and the schema
 * cannot be asked for.
 */

const POD = `id name desiredStatus podType gpuCount costPerHr containerDiskInGb volumeInGb networkVolumeId env createdAt
  lastStartedAt lastStatusChange machineId locked lowestBidPriceToResume machine { podHostId dataCenterId }
  runtime { uptimeInSeconds ports { ip isIpPublic privatePort publicPort type } }`;

const PRICE = `stockStatus uninterruptablePrice minimumBidPrice minVcpu minMemory availableGpuCounts
  gpuTypeCudaVersions { cudaVersion availability }`;

export const POD_QUERY = `query GetPod($id: String!) { myself { id pods { id } } pod(input: { podId: $id }) { ${POD} } }`;
export const PODS_QUERY = `query ListPods { myself { id pods { ${POD} } } }`;
export const ACCOUNT_QUERY =
  'query Account { myself { id clientBalance currentSpendPerHr spendLimit underBalance minBalance } }';
export const KEYS_QUERY = 'query Keys { myself { id pubKey } }';
export const VOLUMES_QUERY =
  'query Volumes { myself { id networkVolumes { id name size dataCenterId } pods { id networkVolumeId } } }';
export const REGISTRIES_QUERY =
  'query Registries { myself { id containerRegistryCreds { id name } } }';
export const TEMPLATE_QUERY = `query Template($id: String!) { podTemplate(id: $id) {
  id name imageName dockerArgs env { key value } ports containerDiskInGb volumeInGb volumeMountPath startSsh isServerless
  containerRegistryAuthId } }`;
export const CATALOG_QUERY = `query Catalog($secure: GpuLowestPriceInput, $community: GpuLowestPriceInput) {
  gpuTypes { id displayName memoryInGb secureCloud communityCloud securePrice communityPrice
    maxGpuCountSecureCloud maxGpuCountCommunityCloud
    secureLowest: lowestPrice(input: $secure) { ${PRICE} }
    communityLowest: lowestPrice(input: $community) { ${PRICE} } }
  dataCenters { id name location storageSupport listed gpuAvailability { gpuTypeId stockStatus available } } }`;

export const DEPLOY = `mutation Deploy($input: PodFindAndDeployOnDemandInput!) {
  podFindAndDeployOnDemand(input: $input) { ${POD} } }`;
export const DEPLOY_SPOT = `mutation DeploySpot($input: PodRentInterruptableInput!) {
  podRentInterruptable(input: $input) { ${POD} } }`;
export const STOP =
  'mutation Stop($id: String!) { podStop(input: { podId: $id }) { id desiredStatus } }';
export const RESUME = `mutation Resume($id: String!, $count: Int) {
  podResume(input: { podId: $id, gpuCount: $count }) { id desiredStatus } }`;
export const BID_RESUME = `mutation BidResume($id: String!, $bid: Float!, $count: Int!) {
  podBidResume(input: { podId: $id, bidPerGpu: $bid, gpuCount: $count }) { id desiredStatus } }`;
/** Answers null and takes no selection. */
export const TERMINATE = 'mutation Terminate($id: String!) { podTerminate(input: { podId: $id }) }';
export const SAVE_KEYS =
  'mutation SaveKeys($keys: String!) { updateUserSettings(input: { pubKey: $keys }) { id } }';
export const CREATE_VOLUME = `mutation CreateVolume($name: String!, $size: Int!, $dataCenterId: String!) {
  createNetworkVolume(input: { name: $name, size: $size, dataCenterId: $dataCenterId }) { id } }`;
export const DELETE_VOLUME =
  'mutation DeleteVolume($id: String!) { deleteNetworkVolume(input: { id: $id }) }';
export const SAVE_REGISTRY = `mutation SaveRegistry($name: String!, $username: String!, $password: String!) {
  saveRegistryAuth(input: { name: $name, username: $username, password: $password }) { id } }`;
