/**
 * zstd where the runtime has functions of its own for it.
 */

/** The part of Bun's global that is used here. */
declare const Bun:
  | {
      readonly zstdCompress: (bytes: Uint8Array, options: { readonly level: number }) => Promise<Uint8Array>
      readonly zstdDecompress: (frames: Uint8Array) => Promise<Uint8Array>
    }
  | undefined

/** One frame, made in one call in a thread of Bun's; the bytes must not change until then. Undefined on Deno. */
export const compressWhole: ((bytes: Uint8Array, level: number) => Promise<Uint8Array>) | undefined =
  typeof Bun === "undefined" ? undefined : (bytes, level) => Bun.zstdCompress(bytes, { level })

/**
 * What frames hold, likewise. Nothing bounds it but what the first frame says of itself, and nothing at all what follows that
 * one: see `internal/zstdFrame`. Undefined on Deno.
 */
export const expandWhole: ((frame: Uint8Array) => Promise<Uint8Array>) | undefined =
  typeof Bun === "undefined" ? undefined : frame => Bun.zstdDecompress(frame)
