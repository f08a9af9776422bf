import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { imageFolder, Network } from '../index.js'
import { bytes } from '../table.js'
import { number } from './number.js'

interface Options {
  readonly output: string
  readonly floats: string
  readonly resize?: unknown
  readonly validation?: string
}

/** `binary-nets freeze <run>` */
export async function freeze(run: string, { output, floats, resize, validation }: Options): Promise<void> {
  const file = checkpointOf(run)
  using network = await Network.load(file)
  const { height, width, channels } = network.input
  const size = { height, width, channels: channels as 1 | 3 }
  using frozen = await network.freeze({
    floats: floats as 'f32',
    ...(resize !== undefined && { resize: { shorter: number('freeze', '--resize', resize) } }),
    ...(validation !== undefined && { validation: await imageFolder(validation, size) }),
  })
  const written = await frozen.save(String(output))
  console.log(`${frozen.report}\n\n${file} → ${output}, ${bytes(written)}`)
}

/** The best network of a folder that `fit` wrote, or its last one. A file is one already. */
function checkpointOf(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path
  const best = join(path, 'best.safetensors')
  return existsSync(best) ? best : join(path, 'last.safetensors')
}
