// A graph spec as text, one line a node: what the tests of models compare.
import type { trace } from 'binary-nets'

type Spec = ReturnType<typeof trace>

/** `%3 = conv2d groups=1 window={…} (%1, %2) @conv1`; state reads as `state conv1.weight parameter [16,1,3,3] kaiming_normal`. */
export function specText({ nodes, outputs, layers }: Spec): string {
  const value = ([node, output]: readonly [number, number]) => (output === 0 ? `%${node}` : `%${node}.${output}`)
  const named = (title: string, values: Spec['outputs']) =>
    Object.entries(values).map(([name, ref]) => `${title} ${name} = ${value(ref)}`)
  const lines = nodes.map(({ op, inputs = [], path = '' }, index) => {
    const [name, attributes] = Object.entries(op)[0] as [string, Record<string, unknown>]
    const shown = Object.entries(attributes).map(([key, it]) => `${key}=${JSON.stringify(it)}`)
    return [`%${index} = ${name}`, ...shown, `(${inputs.map(value).join(', ')})`, path && `@${path}`]
      .join(' ')
      .trimEnd()
  })
  return `${[...lines, ...named('output', outputs), ...named('layer', layers)].join('\n')}\n`
}
