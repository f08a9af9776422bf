import { checkOneOf, checkOptions } from '../arguments.js'
import {
  RESNET_18,
  RESNET_OPTIONS,
  type ResNet,
  type ResNetBlock,
  type ResNetOptions,
  resnet,
  type Stem,
} from './resnet.js'

/** What the networks with codes −1 and +1 take besides. */
export interface SignResNetOptions extends ResNetOptions {
  /** The number that stands outside the image in binary convolutions. Default: 0, but 1 for Group-Net. */
  readonly padValue?: 0 | 1
}

/** A stem without ReLU, behind which all codes would be +1. */
export const withoutRelu = ({ norm, pool }: Stem) => [norm, pool]

/** A ResNet-18 of blocks with codes −1 and +1, made for what stands outside the image. */
export function signResnet18(
  name: string,
  options: SignResNetOptions,
  block: (padValue: 0 | 1) => ResNetBlock,
  order?: (stem: Stem) => Stem[keyof Stem][],
): ResNet {
  checkOptions(name, options, [...RESNET_OPTIONS, 'padValue'])
  const { padValue = 0, ...rest } = options
  checkOneOf(name, 'padValue', padValue, [0, 1])
  return resnet({ ...rest, ...(order && { order }), name, block: block(padValue), layers: RESNET_18 })
}
