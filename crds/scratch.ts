import { startApiServer } from '#e2e/cluster/api-server.ts'
import { execFileSync } from 'node:child_process'
const s = await startApiServer()
console.log('up', s.kubeconfig)
const k = (...a: string[]) => { try { return execFileSync('.tributary/bin/kubectl', ['--kubeconfig=' + s.kubeconfig, ...a], { encoding: 'utf8', stdio: ['pipe','pipe','pipe'] }) } catch (e: any) { return 'ERR ' + e.stderr } }
console.log(k('apply', '-f', 'crds/yaml'))
setTimeout(() => { void s.stop() }, 600000 * 3)
