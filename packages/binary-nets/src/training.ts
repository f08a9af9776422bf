/** How well a network does on some samples. */
export interface Evaluation {
  /** The mean over the samples. */
  readonly loss: number
  /** What the loss counts as `correct`, per sample: for most losses the part whose largest logit was their label's; NaN where it counts nothing so. */
  readonly top1: number
  readonly samples: number
  /** What else the loss counts, per sample. */
  readonly metrics: Readonly<Record<string, number>>
}

/** Sums over the samples of a part of an epoch. */
export interface Sums {
  readonly samples: number
  readonly loss: number
  readonly counts: Readonly<Record<string, number>>
  readonly seconds: number
}

export const NOTHING: Sums = { samples: 0, loss: 0, counts: {}, seconds: 0 }

/** Sums with those of one more batch, whose loss is a mean. */
export function plus(
  sums: Sums,
  samples: number,
  loss: number,
  counts: Readonly<Record<string, number>>,
  seconds: number,
): Sums {
  const names = Object.keys({ ...sums.counts, ...counts })
  return {
    samples: sums.samples + samples,
    loss: sums.loss + loss * samples,
    counts: Object.fromEntries(names.map((name) => [name, (sums.counts[name] ?? 0) + (counts[name] ?? 0)])),
    seconds: sums.seconds + seconds,
  }
}

/** Means of sums. */
export function means({ samples, loss, counts }: Sums): Evaluation {
  const { correct, ...others } = counts
  return {
    loss: loss / samples,
    top1: correct === undefined ? Number.NaN : correct / samples,
    samples,
    metrics: Object.fromEntries(Object.entries(others).map(([name, count]) => [name, count / samples])),
  }
}

/** Where a run stands: what a checkpoint holds besides the network, and all that resuming needs. */
export interface Training {
  readonly seed: number
  readonly batchSize: number
  /** Batches of an epoch. */
  readonly batches: number
  /** From 0. */
  readonly epoch: number
  /** Steps made in that epoch, and what they added up to. */
  readonly step: number
  readonly sums: Sums
  /** The place in the data, as the loader gives it; null for batches that a program makes. */
  readonly loader: string | null
  /** The best epoch so far, by the validation's top-1 or, where there is none, its loss. */
  readonly best: { readonly epoch: number; readonly score: number } | null
  /** The signs of the binary weights when the epoch began, one bit each, in base64; nothing between epochs. */
  readonly signs: string
}
