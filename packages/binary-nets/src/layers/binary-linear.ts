import { checkInteger, checkOptions } from '../arguments.js'
import type { Layer } from '../sym.js'
import { layer } from '../trace.js'
import { type BinaryOptions, binaryProduct } from './binary-product.js'
import { checkWindow } from './window.js'

/**
 * The binary product `codes(x)·(α·sign(W))ᵀ` by XOR and popcount, `[n, inFeatures]` to `[n, features]`: a binary convolution of one pixel.
 * Keeps the latent `weight` `[features, inFeatures]`, Kaiming normal (fan-out), which ships as one bit each, or two where ternary.
 */
export function binaryLinear(inFeatures: number, features: number, options: BinaryOptions = {}): Layer {
  checkInteger('binaryLinear', 'inFeatures', inFeatures)
  checkInteger('binaryLinear', 'features', features)
  checkOptions('binaryLinear', options, ['input', 'weight'])
  const window = checkWindow('binaryLinear', { kernel: 1 })
  const geometry = { window, inPlanes: inFeatures, planes: features, groups: 1, padValue: 0 } as const
  const product = binaryProduct('binaryLinear', geometry, options)
  return layer((x, own) => {
    const latent = own('weight', [features, inFeatures], 'kaiming_normal', 'latent')
    const pixel = x.reshape([0, 1, 1, -1])
    return product(pixel, latent.reshape([features, inFeatures, 1, 1]), own).reshape([0, -1])
  })
}
