/**
 * A seeded generator (sfc32, by Chris Doty-Humphrey): the same seed gives the same numbers, on every runtime.
 */
export interface Random {
  /** 0 up to, not including, 1. */
  readonly next: () => number
  /** A whole number from `least` to `most`, both included. */
  readonly whole: (least: number, most: number) => number
  readonly pick: <A>(from: readonly [A, ...ReadonlyArray<A>]) => A
  readonly shuffled: <A>(from: ReadonlyArray<A>) => ReadonlyArray<A>
}

export const seeded = (seed: number): Random => {
  let a = 0
  let b = seed | 0
  let c = Math.floor(seed / 2 ** 32) | 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  // The first numbers of similar seeds are similar.
  for (let i = 0; i < 15; i++) next()
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    whole,
    pick: from => from[whole(0, from.length - 1)] ?? from[0],
    shuffled: from => {
      const all = [...from]
      for (let i = all.length - 1; i > 0; i--) {
        const j = whole(0, i)
        const [x, y] = [all[i], all[j]]
        if (x === undefined || y === undefined) continue
        all[i] = y
        all[j] = x
      }
      return all
    }
  }
}
