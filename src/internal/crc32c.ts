/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches.
 *
 * @see RFC 3720, appendix B.4, for the polynomial; 0x82f63b78 is its reflected form.
 */
import { makeChecksum, mostBytes, polynomial, vectorsAreThere } from "./crc32cModule.ts"
import { slicesOf } from "./slices.ts"

const checksum = makeChecksum(vectorsAreThere)

/**
 * CRC-32C of the bytes, as an unsigned 32-bit number.
 *
 * @param before the checksum of what is in front of them: the result is that of both
 */
export const crc32c = (bytes: Uint8Array, before = 0): number => {
  if (bytes.length <= mostBytes) return checksum(bytes, before)
  let sum = before
  for (const slice of slicesOf([bytes], mostBytes)) sum = checksum(slice, sum)
  return sum
}

/** A linear map on checksums, as the images of the 32 bits. */
type Operator = ReadonlyArray<number>

const apply = (operator: Operator, checksum: number): number => {
  let image = 0
  for (let bit = 0, left = checksum; left !== 0; bit++, left >>>= 1) if ((left & 1) !== 0) image ^= operator[bit] ?? 0
  return image >>> 0
}

const twice = (operator: Operator): Operator => operator.map(image => apply(operator, image))

/** What a zero bit behind the bytes does to their checksum; then two, four: doubled up to a byte, then on demand. */
const oneBit: Operator = Array.from({ length: 32 }, (_, bit) => (bit === 0 ? polynomial : 2 ** (bit - 1)))
/** At n: what 2^n zero bytes do. */
const zeroBytes: Array<Operator> = [twice(twice(twice(oneBit)))]

/**
 * The checksum of bytes and more bytes, from the checksums of the two and the second's length: as zlib's `crc32_combine`,
 * by what zeros in place of the second do to the first.
 */
export const combine = (first: number, second: number, secondLength: number): number => {
  let image = first
  for (let power = 0, left = secondLength; left > 0; power++, left = Math.floor(left / 2)) {
    const operator = zeroBytes[power] ?? twice(zeroBytes[power - 1] ?? oneBit)
    zeroBytes[power] = operator
    if (left % 2 === 1) image = apply(operator, image)
  }
  return (image ^ second) >>> 0
}
