/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches, by hash-wasm's WebAssembly.
 *
 * @see RFC 3720, appendix B.4, for the polynomial; 0x82f63b78 is its reflected form.
 */
import { createCRC32 } from "hash-wasm"

const hasher = await createCRC32(0x82f63b78)

/** CRC-32C of the bytes, as an unsigned 32-bit number. */
export const crc32c = (bytes: Uint8Array): number => {
  hasher.init()
  hasher.update(bytes)
  const digest = hasher.digest("binary")
  return (((digest[0] ?? 0) << 24) | ((digest[1] ?? 0) << 16) | ((digest[2] ?? 0) << 8) | (digest[3] ?? 0)) >>> 0
}
