// Each side of Tributary, and its command-line tool, as one file that Node.js runs: everything but the native ONNX
// Runtime is inside. Run by itself it writes all bundles into dist/.
import { chmod } from 'node:fs/promises'
import path from 'node:path'
import { build } from 'esbuild'
import { checkoutFolder } from '#e2e/cluster/paths.ts'

export const images = ['operator', 'edge-agent'] as const
export type ImageName = (typeof images)[number]

// CommonJS packages inside the bundle ask for Node's own modules by require, which ES modules lack.
const requireBanner =
  "import { createRequire as __createRequire } from 'node:module';" +
  'const require = __createRequire(import.meta.url);'

export function bundlePath(image: ImageName): string {
  return path.join(checkoutFolder, 'dist', image, 'main.mjs')
}

export async function bundle(entry: string, output: string): Promise<void> {
  await build({
    absWorkingDir: checkoutFolder,
    entryPoints: [entry],
    outfile: output,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: requireBanner },
    external: ['onnxruntime-node'],
    legalComments: 'none',
    sourcemap: false,
    logLevel: 'warning',
  })
}

export async function bundleImages(): Promise<void> {
  await Promise.all(
    images.map((image) => bundle(path.join(checkoutFolder, image, 'main.ts'), bundlePath(image))),
  )
}

async function bundleTool(): Promise<void> {
  const entry = path.join(checkoutFolder, 'federation', 'cli', 'main.ts')
  const output = path.join(checkoutFolder, 'dist', 'tributary', 'main.mjs')
  await bundle(entry, output)
  await chmod(output, 0o755)
}

if (import.meta.main) await Promise.all([bundleImages(), bundleTool()])
