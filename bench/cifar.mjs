// `npm run bench:cifar -- <folder>`: a plain binary ResNet-18, Group-Net with one base and with four, and the float ResNet-18 learn CIFAR-10 at reduced width. The
// folder holds `train/<class>/*.jpg` and `test/<class>/*.jpg`, 32×32. Prints their curves.
import {
  adam,
  binaryResnet18,
  fit,
  groupNetResnet18,
  image,
  imageFolder,
  Network,
  oneCycle,
  progress,
  resnet18,
} from 'binary-nets'
import { Report } from './report.mjs'

const WIDTH = 16
const EPOCHS = 5
const IMAGES = 10_000
const PEAK = 5e-3

const folder = process.argv.slice(2).find((argument) => !argument.startsWith('--'))
if (folder === undefined) {
  console.error('Which images? npm run bench:cifar -- <folder with train/ and test/>')
  process.exit(1)
}
const size = { height: 32, width: 32, channels: 3 }
const [all, test] = await Promise.all([imageFolder(`${folder}/train`, size), imageFolder(`${folder}/test`, size)])
// Every class alike: the folder lists them one after the other.
const step = Math.floor(all.length / IMAGES)
const train = all.subset(Array.from({ length: IMAGES }, (_, index) => index * step))
const input = image({ ...size, normalize: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] } })

const models = {
  'binary, codes 0 and 1': binaryResnet18,
  'Group-Net, K = 1': (options) => groupNetResnet18({ ...options, parallel: 1 }),
  'Group-Net, K = 4': (options) => groupNetResnet18({ ...options, parallel: 4 }),
  float: resnet18,
}
const report = new Report('bench:cifar')
report.say(
  `${IMAGES.toLocaleString('en-US')} of CIFAR-10's images, ${EPOCHS} epochs, ResNet-18 of width ${WIDTH}, Adam, one cycle to ${PEAK}`,
)
report.say('Accuracy on the 10,000 test images after each epoch')
report.say()
const rows = []
for (const [name, build] of Object.entries(models)) {
  const net = await Network.create(build({ classes: 10, stem: 'small', width: WIDTH }), { input, seed: 1 })
  const run = fit(net, {
    ...{ train, validation: test, epochs: EPOCHS, optimizer: adam({ lr: oneCycle(PEAK) }) },
    loader: { augment: { crop: { padding: 4 }, flip: true } },
    onStep: progress(),
  })
  const curve = []
  let seconds = 0
  for await (const { train, validation } of run) {
    curve.push(`${(100 * validation.top1).toFixed(2)} %`)
    seconds += train.seconds
  }
  rows.push([name, ...curve, `${seconds.toFixed(0)} s`])
  net.dispose()
}
report.table(['', ...Array.from({ length: EPOCHS }, (_, epoch) => `${epoch + 1}`), 'training'], rows)
report.end()
