export const GRADIENTS = ['f32', 'fixed'] as const

/**
 * How the gradients of binary and ternary convolutions are multiplied: `'f32'`, or `'fixed'`, as whole numbers of −127 to 127 with a unit for each tensor, rounded at random so
 * that their mean stays ([Gupta et al. 2015](https://arxiv.org/abs/1502.02551)).
 */
export type Gradients = (typeof GRADIENTS)[number]
