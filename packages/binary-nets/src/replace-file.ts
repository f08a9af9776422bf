import { rename, rm, writeFile } from 'node:fs/promises'

/** Writes a file beside and renames it: a crash leaves the one from before. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.part`
  try {
    await writeFile(beside, text)
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}
