/**
 * How much a frame of zstd says it holds, without expanding it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
 */

/** The magic number, and the descriptor behind it. */
const least = 5
const magic = 0xfd2fb528
/** The longest frame header, bytes. */
const mostHeader = 18
const blockHeader = 3
const runLengthEncoded = 1
const reserved = 3

/**
 * Bytes of content, when `bytes` is one frame from the first byte to the last that announces them; undefined when it does not,
 * or is something else: skippable frames, several, one that is cut off. Its blocks are passed over unread.
 */
export const contentLength = (bytes: Uint8Array): number | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < least || view.getUint32(0, true) !== magic) return undefined
  const descriptor = view.getUint8(4)
  const singleSegment = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const announced = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  const lengthAt = least + (singleSegment ? 0 : 1) + dictionary
  if (announced === 0 || bytes.length < mostHeader) return undefined
  let at = lengthAt + announced
  for (let last = false; !last; ) {
    if (at + blockHeader > bytes.length) return undefined
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const type = (header >> 1) & 3
    if (type === reserved) return undefined
    last = (header & 1) === 1
    at += blockHeader + (type === runLengthEncoded ? 1 : header >> 3)
  }
  const checksum = (descriptor & 4) === 0 ? 0 : 4
  if (at + checksum !== bytes.length) return undefined
  if (announced === 1) return view.getUint8(lengthAt)
  if (announced === 2) return view.getUint16(lengthAt, true) + 256
  if (announced === 4) return view.getUint32(lengthAt, true)
  return Number(view.getBigUint64(lengthAt, true))
}
