import { version } from 'binary-nets'

// @ts-expect-error the version is a string
version() satisfies number

// @ts-expect-error it takes no argument
version('0.1.0')
