import { adam, biRealResnet18, fit, image, mnist, Network, oneCycle } from 'binary-nets'
const [width, stem, batch, lr, epochs] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4]), Number(process.argv[5]), Number(process.argv[6])]
const { train, test } = await mnist()
const net = await Network.create(biRealResnet18({ classes: 10, stem, width }), { input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }), seed: 1 })
const c0 = process.cpuUsage(); const t0 = performance.now()
const accs = []
for await (const e of fit(net, { train, epochs, batchSize: batch, optimizer: adam({ lr: oneCycle(lr) }) })) { const c = process.cpuUsage(c0); const a = (await net.evaluate(test)).top1; accs.push(`${(100*a).toFixed(2)}@cpu${(c.user/1e6).toFixed(0)}`) }
console.log(process.argv.slice(2).join(' '), accs.join(' '), 'wall', ((performance.now()-t0)/1000).toFixed(0))
