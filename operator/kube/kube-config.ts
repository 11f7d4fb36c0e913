// Where the API server is and who we are there: inside a pod from the mounted service account, else from a kubeconfig.
import { KubeConfig } from '@kubernetes/client-node'

/** @param file path of a kubeconfig; absent: the pod's service account. Throws when neither can be read. */
export function loadKubeConfig(file?: string): KubeConfig {
  const config = new KubeConfig()
  if (file) config.loadFromFile(file)
  else config.loadFromCluster()
  return config
}
