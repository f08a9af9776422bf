/** The columns of the terminal that the output goes to; `COLUMNS`, or 80, where it is none. */
export function columns(): number {
  return process.stdout.columns || Number(process.env['COLUMNS']) || 80
}

/** Text in lines of at most so many columns. */
export function wrapped(text: string, width: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent + word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line].join('\n')
}
