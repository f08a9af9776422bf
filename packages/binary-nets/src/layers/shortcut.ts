import type { Layer } from '../sym.js'
import { batchNorm2d } from './batch-norm.js'
import { conv2d } from './conv2d.js'
import { identity } from './identity.js'
import { avgPool2d } from './pool2d.js'
import { sequential } from './sequential.js'

/**
 * The way around a residual block: the identity, or, where stride or width change, a float 1×1 convolution (key `0`), in `groups` independent parts, and a
 * norm (`1`).
 */
export function shortcut(inPlanes: number, planes: number, stride: number, groups = 1): Layer {
  if (stride === 1 && inPlanes === planes) return identity
  return sequential(conv2d(inPlanes, planes, { kernel: 1, stride, groups }), batchNorm2d(planes))
}

/** As {@link shortcut}, but that an average pool (key `0`) does the stride: convolution and norm are `1` and `2`. */
export function pooledShortcut(inPlanes: number, planes: number, stride: number): Layer {
  if (stride === 1 && inPlanes === planes) return identity
  return sequential(
    avgPool2d({ kernel: stride, ceil: true }),
    conv2d(inPlanes, planes, { kernel: 1 }),
    batchNorm2d(planes),
  )
}
