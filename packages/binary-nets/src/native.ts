// The one file that touches the native package.
export { version } from '@binary-nets/native'
