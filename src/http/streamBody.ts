/**
 * An answer's stream as a web-standard body.
 */
import { type AnswerStream, mostUnread } from "./Answer.ts"

const encoder = new TextEncoder()

export const streamBody = ({ start }: AnswerStream): ReadableStream<Uint8Array<ArrayBuffer>> => {
  let over = false
  let stop: (() => void) | undefined
  const finish = () => {
    if (over) return
    over = true
    stop?.()
  }
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start: controller => {
        const stopped = start({
          write: text => {
            if (over) return false
            if ((controller.desiredSize ?? 0) > 0) {
              controller.enqueue(encoder.encode(text))
              return true
            }
            controller.error(new Error("the client does not read"))
            finish()
            return false
          },
          end: () => {
            if (over) return
            controller.close()
            finish()
          }
        })
        // It may have been over before there was anything to call.
        if (over) stopped()
        else stop = stopped
      },
      cancel: finish
    },
    new ByteLengthQueuingStrategy({ highWaterMark: mostUnread })
  )
}
