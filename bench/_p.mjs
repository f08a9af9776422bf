import { adam, biRealResnet18, fit, image, mnist, Network, oneCycle } from 'binary-nets'
const [width, stem, batch, threads] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4]), Number(process.argv[5])]
const { train, test } = await mnist()
const net = await Network.create(biRealResnet18({ classes: 10, stem, width }), { input: image({ height: 28, width: 28, channels: 1, normalize: { mean: [0.1307], std: [0.3081] } }), seed: 1, threads })
let t0, n=0; 
const c0=[]
await fit(net, { train: train.subset(Array.from({length: batch*60},(_, i)=>i)), epochs: 1, batchSize: batch, optimizer: adam({ lr: 5e-3 }), onStep: () => { n++; if (n===10) { t0=performance.now(); c0.push(process.cpuUsage()) } } }).done
const cpu=process.cpuUsage(c0[0]); console.log(process.argv.slice(2).join(' '), 'ms/step', ((performance.now()-t0)/(n-10)).toFixed(2), 'cpu/step', ((cpu.user+cpu.system)/1e3/(n-10)).toFixed(2))
const ops = await net.profileStep({ repeats: 5 })
const m=new Map(); let t=0, cnt=new Map()
for (const o of (ops.ops??ops)) { const k=o.part+' '+o.op; t+=o.seconds*1000; m.set(k,(m.get(k)??0)+o.seconds*1000); cnt.set(k,(cnt.get(k)??0)+1) }
console.log('sum', t.toFixed(2)); console.log([...m].sort((a,b)=>b[1]-a[1]).slice(0,16).map(([k,v])=>`${v.toFixed(2)} ${cnt.get(k)}× ${k}`).join('\n'))
