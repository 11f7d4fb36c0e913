// Each side of Tributary, and its command-line tool, as one file that Node.js runs: everything but the native ONNX
// Runtime is inside. Run by itself it writes all bundles into dist/.
import { chmod } from 'node:fs/promises'
import path from 'node:path'
import { build, type Plugin } from 'esbuild'
import { checkoutFolder } from '#e2e/cluster/paths.ts'

export const images = ['operator', 'edge-agent'] as const
export type ImageName = (typeof images)[number]

// CommonJS packages inside the bundle ask for Node's own modules by require, which ES modules lack.
const requireBanner =
  "import { createRequire as __createRequire } from 'node:module';" +
  'const require = __createRequire(import.meta.url);'

/**
 * ES modules load what they import before any of them runs. A bundle's parts that are imported when they are needed would so
 * load ONNX Runtime, 20 MB of it, in every process; behind a require it is loaded by the first part that runs and needs it.
 */
const lazyOnnxRuntime: Plugin = {
  name: 'lazy-onnxruntime',
  setup: (bundling) => {
    bundling.onResolve({ filter: /^onnxruntime-node$/ }, ({ path: name, namespace }) =>
      namespace === 'lazy' ? { path: name, external: true } : { path: name, namespace: 'lazy' },
    )
    bundling.onLoad({ filter: /^/, namespace: 'lazy' }, ({ path: name }) => ({
      contents: `module.exports = require(${JSON.stringify(name)})`,
    }))
  },
}

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
    plugins: [lazyOnnxRuntime],
    legalComments: 'none',
    // Node.js keeps the text of a program in memory. Names stay: stack traces are read.
    minifyWhitespace: true,
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
