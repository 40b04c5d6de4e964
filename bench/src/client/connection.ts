import { connect, type Socket } from "node:net";
import { decodeSequence, decodeStampMicros, isContent } from "../content.ts";
import { ContentScanner } from "./content-scanner.ts";
import type { Dialect } from "./dialect.ts";
import { encodeClientFrame, FrameReader, opcodes } from "./frames.ts";
import { OpeningResponse, openingRequest } from "./handshake.ts";
import type { Recorder } from "./recorder.ts";
import { SequenceCheck } from "./sequence-check.ts";

export type Address = { host: string; port: number };

/** State and callbacks that all connections of a pool share. */
export type Pool = {
  recorder: Recorder;
  readonly address: Address;
  readonly dialect: Dialect;
  /** Sequence for which every connection waits. */
  awaited: number;
  onOpen(): void;
  /** Called when the awaited sequence, or a later one, was received. */
  onArrived(): void;
  onForeignFrame(): void;
  onEnd(reason: string): void;
};

/**
 * One buffer for all sockets, because each read is parsed before the next one. By default node:net allocates 64 KiB per
 * read.
 */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

export class Connection {
  readonly sequenceCheck = new SequenceCheck();
  readonly #pool: Pool;
  readonly #socket: Socket;
  readonly #frames = new FrameReader((opcode, bytes, start, end) => this.#readFrame(opcode, bytes, start, end));
  readonly #contents = new ContentScanner((bytes, start) => this.#accept(bytes, start));
  #response: OpeningResponse | undefined;
  #greetings: number;
  #hasEnded = false;

  /** @param index number of the connection among all of the measurement. */
  constructor(pool: Pool, index: number, localAddress: string) {
    const { address, dialect } = pool;
    this.#pool = pool;
    this.#greetings = dialect.greetings;
    this.#response = new OpeningResponse(dialect.transport);
    this.#socket = connect({
      ...address,
      localAddress,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (count) => this.#read(count) },
    });
    this.#socket.once("connect", () =>
      this.#socket.write(openingRequest(`${address.host}:${address.port}`, dialect, index)),
    );
    this.#socket.once("error", (error) => this.#end(error.message));
    this.#socket.once("close", () => this.#end("the server closed the connection"));
  }

  /** Sends the text frame with which an idle client shows that it is there. */
  ping(frame: string): void {
    if (!this.#hasEnded) this.#send(frame);
  }

  /** Resets the connection, because ports in TIME_WAIT by the ten thousand would slow down later connections. */
  close(): void {
    this.#hasEnded = true;
    this.#socket.resetAndDestroy();
  }

  #read(count: number): boolean {
    try {
      this.#pool.recorder.startRead();
      const start = this.#response === undefined ? 0 : this.#readResponse(this.#response, count);
      const before = this.sequenceCheck.next;
      if (this.#pool.dialect.transport === "websocket") this.#frames.read(readBuffer, start, count);
      else this.#readEvents(start, count);
      const { awaited } = this.#pool;
      if (before < awaited && this.sequenceCheck.next >= awaited) this.#pool.onArrived();
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
    return true;
  }

  /** Returns the offset at which the frames begin. */
  #readResponse(response: OpeningResponse, count: number): number {
    const end = response.read(readBuffer.subarray(0, count));
    if (end === undefined) return count;
    this.#response = undefined;
    const { hello } = this.#pool.dialect;
    if (hello !== undefined) this.#send(hello);
    if (this.#greetings === 0) this.#pool.onOpen();
    return end;
  }

  #readFrame(opcode: number, bytes: Uint8Array, start: number, end: number): void {
    if (opcode > opcodes.binary) this.#readControlFrame(opcode, bytes, start, end);
    else if (isContent(bytes, start, end)) this.#accept(bytes, start);
    else if (this.#contents.read(bytes, start, end) === 0) this.#readOther(bytes, start, end);
  }

  /** Reads an event stream, in which any event without a content is a greeting. */
  #readEvents(start: number, end: number): void {
    if (start === end || this.#contents.read(readBuffer, start, end) > 0) return;
    if (readBuffer.subarray(start, end).includes("event: ")) this.#countGreeting();
  }

  /** Reads a frame without a content. */
  #readOther(bytes: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
    const { answers, ping } = this.#pool.dialect;
    if (ping !== undefined && text === ping.answer) return;
    const answer = answers?.[text];
    if (answer !== undefined) this.#send(answer);
    else if (!this.#countGreeting()) this.#pool.onForeignFrame();
  }

  /** Returns false when no greeting was expected. */
  #countGreeting(): boolean {
    if (this.#greetings === 0) return false;
    this.#greetings--;
    if (this.#greetings === 0) this.#pool.onOpen();
    return true;
  }

  #accept(bytes: Uint8Array, start: number): void {
    const sequence = decodeSequence(bytes, start);
    this.sequenceCheck.accept(sequence);
    const { recorder } = this.#pool;
    if (recorder.wants(sequence)) recorder.record(decodeStampMicros(bytes, start));
  }

  #send(text: string): void {
    this.#socket.write(encodeClientFrame(opcodes.text, Buffer.from(text)));
  }

  #readControlFrame(opcode: number, bytes: Uint8Array, start: number, end: number): void {
    if (opcode === opcodes.ping) this.#socket.write(encodeClientFrame(opcodes.pong, bytes.subarray(start, end)));
    if (opcode === opcodes.close) {
      const code = end - start >= 2 ? (bytes[start] as number) * 0x100 + (bytes[start + 1] as number) : 1005;
      this.#end(`the server closed the connection with code ${code}`);
    }
  }

  #end(reason: string): void {
    if (this.#hasEnded) return;
    this.close();
    this.#pool.onEnd(reason);
  }
}
