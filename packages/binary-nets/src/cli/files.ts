import { existsSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { BinaryNetsError, type Dataset, type FrozenNetwork, imageFolder } from '../index.js'

/** Where a command writes: where it was told to, or to the input's name with another ending, here. Never over its input. */
export function outputOf(input: string, output: string | undefined, ending: string): string {
  const path = output ?? basename(input, extname(input)) + ending
  if (resolve(path) === resolve(input)) {
    throw new BinaryNetsError('BNETS_ARGUMENT', `${path} is read already: name another file with --output`)
  }
  return path
}

/** The last step of a folder's path that has a name. */
export function nameOf(folder: string): string {
  return basename(resolve(folder)) || basename(dirname(resolve(folder)))
}

/** A folder's images by class, as a network takes them. */
export function openFolder(
  folder: string,
  { input: { height, width, channels }, resize }: Pick<FrozenNetwork, 'input' | 'resize'>,
): Promise<Dataset> {
  if (channels !== 1 && channels !== 3) {
    throw new BinaryNetsError('BNETS_UNSUPPORTED', `images have 1 or 3 channels, the network takes ${channels}`)
  }
  return imageFolder(folder, { height, width, channels, resize })
}

/** The best network of a folder that `fit` wrote, or its last one. A file is one already. */
export function checkpointOf(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path
  const found = ['best', 'last'].map((name) => join(path, `${name}.safetensors`)).find((file) => existsSync(file))
  if (found !== undefined) return found
  throw new BinaryNetsError('BNETS_IO', `${path} holds no checkpoint, best.safetensors or last.safetensors`)
}
