/**
 * How often others have their turn while something is worked on.
 */
export const turnsDuring = async <A>(
  work: () => Promise<A>
): Promise<{ readonly result: A; readonly turns: number }> => {
  let turns = 0
  const count = () => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  try {
    const result = await work()
    return { result, turns }
  } finally {
    clearImmediate(counting)
  }
}
