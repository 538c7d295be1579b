/**
 * One HTTP/1.1 connection: requests one after the other, each read whole, handed over and answered before the next is looked
 * at. What is sent ahead waits.
 *
 *     idle ─▶ head ─▶ body ─▶ answering ─▶ idle        all is well
 *       └──────┴───────┴─────────┴─▶ lingering ─▶ gone  the last answer was written; what still comes is thrown away, so
 *                                                       that the answer is not lost in a reset
 */
import { Buffer } from "node:buffer"
import * as Answer from "../Answer.ts"
import type { Receiver, Respond } from "../Exchange.ts"
import type { RequestHead } from "../RequestHead.ts"
import { answerText, chunkOf, continueText, lastChunk, streamHead } from "./answerText.ts"
import { ChunkedBody } from "./ChunkedBody.ts"
import { GrowingBuffer } from "./growingBuffer.ts"
import { Head, parse } from "./head.ts"

/** What a runtime's socket does for a connection. */
export interface Transport {
  /** How many bytes it took, of a text its characters; the rest is offered again after `drained`. */
  readonly write: (data: string | Uint8Array) => number
  /** Nothing more will be written; what comes is still read, until the client ends its side, too. */
  readonly shutdown: () => void
  /** At once, whatever is on its way. */
  readonly terminate: () => void
  readonly pause: () => void
  readonly resume: () => void
}

/** What connections share. Times in ms. */
export interface Limits {
  readonly maxHeaderBytes: number
  /** From a request's first byte to the end of its head. */
  readonly headerTimeoutMs: number
  /** Between two requests. */
  readonly idleTimeoutMs: number
}

/** What a connection belongs to. */
export interface Owner {
  readonly open: (head: RequestHead, respond: Respond) => Receiver | undefined
  readonly limits: Limits
  /** Coarse, and cheap to ask for, ms. */
  readonly now: () => number
  readonly stopping: () => boolean
  /** Notes what bodies take of memory, bytes; `false` when it is more than all connections together may. */
  readonly buffered: (change: number) => boolean
}

/** How long a client may take nothing of an answer, ms. */
const writeTimeoutMs = 10_000
/** How long what still comes is thrown away after the last answer, ms. */
export const lingerMs = 2000
/** Most bytes of an unwanted body that are read only to keep the connection. */
const skippedBytes = 64 * 1024
/** Most bytes kept of what is sent ahead of its turn. */
const aheadBytes = 64 * 1024

const headEnd = "\r\n\r\n"
const carriageReturn = 13
const lineFeed = 10
const none: Buffer = Buffer.alloc(0)

type State = "idle" | "head" | "body" | "skipping" | "answering" | "lingering" | "gone"

/** Whether a byte can begin a method. */
const beginsRequest = (byte: number | undefined): boolean => byte !== undefined && byte > 32 && byte < 127

export class Connection {
  /** Names in the client's certificate, once it is verified. */
  clientNames: ReadonlyArray<string> | undefined
  readonly #owner: Owner
  readonly #transport: Transport
  readonly #respond: Respond = answer => this.#answer(answer)
  #state: State = "idle"
  /** When the state has lasted too long. */
  #deadline: number
  /** Bytes that came and are not read yet. */
  #ahead: Buffer = none
  #partHead: GrowingBuffer | undefined
  /** The last head's bytes and meaning: clients send the same again and again. */
  #headBytes: Buffer = none
  #head: Head | undefined
  #receiver: Receiver | undefined
  #body: GrowingBuffer | ChunkedBody | undefined
  /** Bytes of an unwanted body still to come. */
  #unwanted = 0
  /** Part of an answer the socket has not taken. */
  #unsent: Uint8Array = none
  /** When the client has taken nothing of it for too long. */
  #stuckAt = 0
  /** Ends the stream that is the answer, where nobody reads it any more. */
  #streaming: (() => void) | undefined
  /** Whether the sender was told to go on with its body. */
  #continued = false
  #last = false
  #reading = false
  /** Whoever reads the body as it comes takes no more for now. */
  #busy = false
  #paused = false
  #inputEnded = false

  constructor(owner: Owner, transport: Transport) {
    this.#owner = owner
    this.#transport = transport
    this.#deadline = owner.now() + owner.limits.idleTimeoutMs
  }

  /** The bytes are this connection's from here on. */
  received(bytes: Buffer): void {
    if (this.#state === "lingering" || this.#state === "gone") return
    this.#ahead = this.#ahead.length === 0 ? bytes : Buffer.concat([this.#ahead, bytes])
    this.#read()
    if (this.#ahead.length > aheadBytes && !this.#paused) {
      this.#paused = true
      this.#transport.pause()
    }
  }

  /** The client sends nothing more; it may still read. */
  ended(): void {
    this.#inputEnded = true
    this.#inputOver()
  }

  /** What was sent before the client's end has its answers; what is not whole will never be. */
  #inputOver(): void {
    if (!this.#inputEnded || this.#reading || this.#busy || this.#unsent.length > 0) return
    if (this.#state === "body") this.#cutShort()
    else if (this.#state === "idle" || this.#state === "head" || this.#state === "skipping") this.#linger()
  }

  /** The socket takes more. */
  drained(): void {
    if (this.#unsent.length === 0) return
    this.#write(this.#unsent)
    if (this.#unsent.length > 0) return
    const over = this.#state === "idle" && this.#ahead.length === 0 && this.#owner.stopping()
    if (over || this.#state === "lingering") this.#linger()
    else this.#read()
  }

  /** The socket is gone. */
  closed(): void {
    this.#state = "gone"
    this.#streaming?.()
    this.#cutShort()
  }

  /** Ends what is idle; what is under way gets its answer first. */
  stop(): void {
    if (this.#state === "idle" && this.#unsent.length === 0) this.#linger()
    else this.#last = true
  }

  /** Ends it now. */
  kill(): void {
    this.#transport.terminate()
  }

  /** Ends what has taken too long. */
  expire(): void {
    const now = this.#owner.now()
    if (this.#unsent.length > 0) {
      if (now >= this.#stuckAt) this.#transport.terminate()
      return
    }
    if (now < this.#deadline) return
    if (this.#state === "lingering") this.#transport.terminate()
    else if (this.#state === "idle") this.#linger()
    else if (this.#state === "head") this.#fault("HeadTimeout", "the head took too long to come")
    else if (this.#state === "skipping") this.#linger()
  }

  #wait(ms: number): void {
    this.#deadline = this.#owner.now() + ms
  }

  /** Reads as far as it may: to the end of what came, or to a request whose answer is not there or not taken yet. */
  #read(): void {
    if (this.#reading) return
    this.#reading = true
    while (this.#ahead.length > 0 && this.#unsent.length === 0 && !this.#busy && this.#step()) {
      // On to the next request.
    }
    this.#reading = false
    if (this.#ahead.length <= aheadBytes) this.#flow()
    this.#inputOver()
  }

  /** Whether there is more to read. */
  #step(): boolean {
    switch (this.#state) {
      case "idle":
      case "head":
        return this.#readHead()
      case "body":
        return this.#readBody()
      case "skipping": {
        const skipped = Math.min(this.#unwanted, this.#ahead.length)
        this.#unwanted -= skipped
        this.#consume(skipped)
        if (this.#unwanted === 0) this.#rest()
        return true
      }
      default:
        return false
    }
  }

  #consume(bytes: number): void {
    this.#ahead = bytes === this.#ahead.length ? none : this.#ahead.subarray(bytes)
  }

  #readHead(): boolean {
    const cached = this.#headBytes
    if (
      this.#head !== undefined &&
      this.#partHead === undefined &&
      this.#ahead.length >= cached.length &&
      this.#ahead.compare(cached, 0, cached.length, 0, cached.length) === 0
    ) {
      this.#consume(cached.length)
      return this.#begin(this.#head)
    }
    const bytes = this.#headSoFar()
    if (bytes === undefined) return false
    const { maxHeaderBytes } = this.#owner.limits
    const found = bytes.indexOf(headEnd, 0, "latin1")
    const end = found + headEnd.length
    if (found < 0 ? bytes.length > maxHeaderBytes : end > maxHeaderBytes) {
      return this.#fault("HeadTooLarge", `the head is larger than ${maxHeaderBytes} bytes`)
    }
    if (found < 0) {
      this.#keepPart()
      return false
    }
    // The empty line is left out; the last header keeps its line end.
    const head = parse(bytes.toString("latin1", 0, found + 2), this.clientNames)
    if (!(head instanceof Head)) return this.#fault(head.reason, head.message)
    this.#headBytes = Buffer.from(bytes.subarray(0, end))
    this.#head = head
    this.#ahead = bytes
    this.#partHead = undefined
    this.#consume(end)
    return this.#begin(head)
  }

  /** Keeps the beginning of a head until more of it comes. */
  #keepPart(): void {
    if (this.#partHead !== undefined) return
    this.#partHead = new GrowingBuffer()
    this.#partHead.append(this.#ahead)
    this.#ahead = none
    if (this.#state === "head") return
    this.#state = "head"
    this.#wait(this.#owner.limits.headerTimeoutMs)
  }

  /** What there is of a head; undefined when that is nothing, or no head. */
  #headSoFar(): Buffer | undefined {
    const part = this.#partHead
    if (part !== undefined) {
      part.append(this.#ahead)
      this.#ahead = none
      const { bytes } = part
      if (bytes[0] !== carriageReturn || bytes[1] !== lineFeed) return bytes
      // An empty line whose halves came apart.
      this.#partHead = undefined
      this.#ahead = bytes
    }
    // One empty line before a request is passed over (RFC 9112, section 2.2).
    if (this.#ahead[0] === carriageReturn && this.#ahead[1] === lineFeed) this.#consume(2)
    if (this.#ahead.length === 0) return undefined
    const [first] = this.#ahead
    if (!beginsRequest(first) && !(first === carriageReturn && this.#ahead.length === 1)) {
      this.#fault("BadRequest", "this is not HTTP/1.1")
      return undefined
    }
    return this.#ahead
  }

  #begin(head: Head): boolean {
    const { framing } = head
    this.#last = !head.keepAlive
    this.#unwanted = 0
    this.#continued = false
    this.#state = "body"
    const receiver = this.#owner.open(head, this.#respond)
    if (receiver === undefined) {
      // Where it is not answered yet.
      if (this.#state === "body") this.#passOver(framing)
      return true
    }
    this.#receiver = receiver
    if (framing === 0) return this.#hand(none)
    if (typeof framing === "number" && framing > receiver.maxBodyBytes) return this.#tooLarge()
    if (head.expectsContinue && this.#ahead.length === 0) {
      this.#continued = true
      this.#write(continueText)
    }
    if (framing === "chunked") {
      this.#body = new ChunkedBody(receiver.piece === undefined ? receiver.maxBodyBytes : Number.POSITIVE_INFINITY)
    }
    return true
  }

  #readBody(): boolean {
    const framing = this.#head?.framing ?? 0
    if (framing === "chunked") return this.#readChunks()
    const ahead = this.#ahead
    if (this.#body === undefined && ahead.length >= framing) {
      this.#consume(framing)
      return this.#hand(ahead.length === framing ? ahead : ahead.subarray(0, framing))
    }
    const body = this.#body instanceof GrowingBuffer ? this.#body : new GrowingBuffer()
    this.#body = body
    const before = body.capacity
    const wanted = Math.min(framing - body.length, ahead.length)
    body.append(ahead.subarray(0, wanted), framing)
    this.#consume(wanted)
    if (!this.#owner.buffered(body.capacity - before)) return this.#overloaded()
    return body.length === framing ? this.#hand(body.bytes) : false
  }

  #readChunks(): boolean {
    if (!(this.#body instanceof ChunkedBody)) return false
    const { body } = this.#body
    const before = body.capacity
    const { end, progress } = this.#body.take(this.#ahead)
    this.#consume(end)
    const room = this.#owner.buffered(body.capacity - before)
    if (progress === "tooLarge") return this.#tooLarge()
    if (progress === "malformed") return this.#fault("BadRequest", "the chunks are malformed")
    if (!room) return this.#overloaded()
    if (this.#receiver?.piece !== undefined) return this.#passOn(this.#receiver, body, progress === "whole")
    return progress === "whole" ? this.#hand(body.bytes) : false
  }

  /** Hands on what there is of a body that is read as it comes; its receiver says when it takes more. */
  #passOn(receiver: Receiver, body: GrowingBuffer, whole: boolean): boolean {
    const busy = body.length === 0 ? undefined : receiver.piece?.(body.bytes)
    body.clear()
    if (this.#receiver !== receiver) return false
    if (busy === undefined) return whole ? this.#hand(none) : false
    this.#busy = true
    busy.then(() => {
      this.#busy = false
      if (this.#receiver !== receiver) return
      if (whole) this.#hand(none)
      this.#read()
    })
    return false
  }

  /** The body's memory is nobody's any more. */
  #release(): void {
    if (this.#body === undefined) return
    const { capacity } = this.#body instanceof ChunkedBody ? this.#body.body : this.#body
    this.#body = undefined
    this.#owner.buffered(-capacity)
  }

  #hand(body: Uint8Array): boolean {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#release()
    this.#state = "answering"
    receiver?.take(body)
    return true
  }

  #tooLarge(): boolean {
    this.#last = true
    const receiver = this.#receiver
    this.#receiver = undefined
    receiver?.tooLarge()
    return false
  }

  #overloaded(): boolean {
    return this.#fault("Overloaded", "the bodies of all requests together are more than is held at a time")
  }

  /** Answers what cannot be read to its end: the connection's last answer. */
  #fault(reason: Answer.Reason, message: string): boolean {
    this.#last = true
    const receiver = this.#receiver
    this.#receiver = undefined
    // An answer that has begun is its receiver's to end.
    if (this.#streaming === undefined) this.#answer(Answer.refuse(reason, message))
    else this.#release()
    receiver?.cutShort()
    return false
  }

  /** Whoever waits for the rest of a body learns that it will not come. */
  #cutShort(): void {
    this.#last = true
    const receiver = this.#receiver
    this.#receiver = undefined
    this.#release()
    receiver?.cutShort()
  }

  /** The one answer to the request at hand. */
  #answer(answer: Answer.Answer): void {
    const state = this.#state
    if (state === "lingering" || state === "gone") return
    const head = this.#head
    const { body } = answer
    const whole = Answer.isWhole(body)
    const both = !whole && this.#receiver?.piece !== undefined
    if (state === "body" && !both) this.#passOver(head?.framing ?? 0)
    if (this.#owner.stopping() || (this.#inputEnded && this.#ahead.length === 0)) this.#last = true
    const toHead = head?.method === "HEAD" && state !== "idle" && state !== "head"
    if (!whole && head?.old === true) this.#last = true
    const said = this.#last ? "close" : head?.old === true ? "keep-alive" : undefined
    if (!whole) return this.#stream(answer, body, said, toHead, head?.old !== true)
    this.#write(answerText(answer, body, said, !toHead))
    this.#answered()
  }

  /** An answer that goes on, also while its request's body still comes: the connection is its own until both end. */
  #stream(
    answer: Answer.Answer,
    body: Answer.AnswerStream,
    said: "close" | "keep-alive" | undefined,
    toHead: boolean,
    chunked: boolean
  ): void {
    this.#write(streamHead(answer, said, chunked))
    if (toHead) return this.#answered()
    let open = true
    const over = () => {
      if (!open) return
      open = false
      this.#streaming = undefined
      // It is known only once `start` has returned.
      if (stop === undefined) queueMicrotask(() => stop?.())
      else stop()
    }
    this.#streaming = over
    const sink: Answer.Sink = {
      write: text => {
        if (!open) return false
        if (this.#unsent.length > Answer.mostUnread) {
          over()
          this.#transport.terminate()
          return false
        }
        // An empty chunk would be the last one.
        if (text !== "") this.#write(chunked ? chunkOf(text) : Buffer.from(text))
        return true
      },
      end: () => {
        if (!open) return
        over()
        if (this.#state === "body") this.#passOver(this.#head?.framing ?? 0)
        if (chunked) this.#write(lastChunk)
        this.#answered()
      }
    }
    let stop: (() => void) | undefined
    stop = body.start(sink)
  }

  /** The answer is written, as far as the client has taken it. */
  #answered(): void {
    if (this.#owner.stopping() || (this.#inputEnded && this.#ahead.length === 0)) this.#last = true
    if (this.#last) return this.#linger()
    if (this.#unwanted > 0) {
      this.#state = "skipping"
      this.#wait(this.#owner.limits.headerTimeoutMs)
    } else this.#rest()
    this.#read()
  }

  /** Nobody wants (the rest of) the body: a short one is read and forgotten, behind a long one the connection ends. */
  #passOver(framing: Head["framing"]): void {
    const body = this.#body
    const left = typeof framing === "number" ? framing - (body instanceof GrowingBuffer ? body.length : 0) : undefined
    this.#receiver = undefined
    this.#release()
    // Whoever waits for "go on" and is answered instead may leave the body out, or send it (RFC 9110, section 10.1.1).
    const mayNotCome = this.#head?.expectsContinue === true && !this.#continued
    if (left === undefined || left > skippedBytes || mayNotCome) this.#last = true
    else this.#unwanted = left
    this.#state = "answering"
  }

  /** Between two requests. */
  #rest(): void {
    this.#state = "idle"
    this.#wait(this.#owner.limits.idleTimeoutMs)
    if (this.#owner.stopping() && this.#unsent.length === 0 && this.#ahead.length === 0) this.#linger()
  }

  #flow(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#transport.resume()
  }

  #linger(): void {
    this.#state = "lingering"
    this.#ahead = none
    this.#partHead = undefined
    this.#flow()
    if (this.#unsent.length > 0) return
    this.#wait(lingerMs)
    this.#transport.shutdown()
  }

  /** Texts are of single bytes. */
  #write(data: string | Uint8Array): void {
    if (this.#unsent.length > 0 && data !== this.#unsent) {
      this.#unsent = Buffer.concat([this.#unsent, typeof data === "string" ? Buffer.from(data, "latin1") : data])
      return
    }
    const taken = Math.max(0, this.#transport.write(data))
    if (taken >= data.length) {
      this.#unsent = none
      return
    }
    this.#unsent = typeof data === "string" ? Buffer.from(data.slice(taken), "latin1") : data.subarray(taken)
    this.#stuckAt = this.#owner.now() + writeTimeoutMs
  }
}
