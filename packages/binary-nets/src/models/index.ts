export * from './resnet.js'
