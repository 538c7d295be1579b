/**
 * Base64 as people send it: padded or not, in the standard or the URL alphabet (RFC 4648, sections 4 and 5).
 */
import { Buffer } from "node:buffer"

const shape = /^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/

/** Undefined when the text is not base64. */
export const decodeBase64 = (text: string): Uint8Array | undefined => {
  const end = text.indexOf("=")
  const length = end < 0 ? text.length : end
  const padded = end >= 0 && text.length % 4 !== 0
  if (!shape.test(text) || length % 4 === 1 || padded) return undefined
  return Buffer.from(text, "base64")
}
