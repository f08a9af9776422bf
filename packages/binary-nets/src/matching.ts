/** The names that a glob stands for: in it `*` is one step between dots, or a part of one, and `**` one step or more. */
export function matching(glob: string, names: readonly string[]): string[] {
  const steps = glob.split('.').map((step) => {
    if (step === '**') return '.+'
    return step.replaceAll(/[\\^$+?()[\]{}|]/g, '\\$&').replaceAll('*', '[^.]*')
  })
  const pattern = new RegExp(`^${steps.join('\\.')}$`)
  return names.filter((name) => pattern.test(name))
}
