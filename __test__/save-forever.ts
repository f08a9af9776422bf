// Saves one network again and again, each time with its tensors full of another number, and says so after each.
import { image, linear, Network } from 'binary-nets'

const path = process.argv[2] ?? ''
const fc = linear(64 * 64, 256)
const input = image({ height: 64, width: 64, channels: 1 })
const net = await Network.create((x) => ({ logits: fc(x.flatten()) }), { input, threads: 1 })
for (let number = 0; ; number++) {
  for (const { path, shape } of net.parameters()) {
    net.setParameter(path, new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(number))
  }
  await net.save(path)
  console.log(number)
}
