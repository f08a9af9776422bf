import { crc32, deflateSync } from 'node:zlib'

/** A PNG file of 8-bit pixels, row after row: grey, RGB or RGBA. */
export function png(pixels: Uint8Array, width: number, height: number): Buffer {
  const channels = pixels.length / width / height
  const color = { 1: 0, 3: 2, 4: 6 }[channels] ?? 0
  const size = Buffer.alloc(8)
  size.writeUInt32BE(width, 0)
  size.writeUInt32BE(height, 4)
  const rows = Array.from({ length: height }, (_, y) => {
    return Buffer.concat([Buffer.of(0), pixels.subarray(y * width * channels, (y + 1) * width * channels)])
  })
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', Buffer.concat([size, Buffer.of(8, color, 0, 0, 0)])),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', new Uint8Array()),
  ])
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  crc.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, crc])
}
