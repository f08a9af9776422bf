/** A share, from 0 to 1, as a bar of at most `width` characters: eighths of a block draw it. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(share * width * 8)
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
