import { loadFrozen, type OnnxForm } from '../index.js'
import { bytes } from '../table.js'

/** `binary-nets export <model>` */
export async function exportModel(
  model: string,
  { output, form }: { readonly output: string; readonly form: string },
): Promise<void> {
  using frozen = await loadFrozen(model)
  const written = await frozen.exportOnnx(String(output), { form: form as OnnxForm })
  console.log(`${model} → ${output}, ${bytes(written)}, ${form}`)
}
