import { importOnnx } from '../index.js'
import { bytes } from '../table.js'
import { numbers } from './number.js'

interface Options {
  readonly output: string
  readonly mean?: unknown
  readonly std?: unknown
}

/** `binary-nets import <onnx>` */
export async function importModel(onnx: string, { output, mean, std }: Options): Promise<void> {
  const given = mean !== undefined || std !== undefined
  const normalize = given && { mean: numbers('import', '--mean', mean), std: numbers('import', '--std', std) }
  using frozen = await importOnnx(onnx, { ...(normalize && { normalize }) })
  const written = await frozen.save(String(output))
  console.log(`${frozen.report}\n\n${onnx} → ${output}, ${bytes(written)}`)
}
