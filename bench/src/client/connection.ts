import { connect, type Socket } from "node:net";
import { decodeSequence, decodeStampMicros, isContent } from "../content.ts";
import { ContentScanner } from "./content-scanner.ts";
import type { Dialect } from "./dialect.ts";
import { encodeClientFrame, FrameReader, opcodes } from "./frames.ts";
import { OpeningResponse, openingRequest } from "./handshake.ts";
import { Order } from "./order.ts";
import type { Recorder } from "./recorder.ts";

export type Address = { host: string; port: number };

/** What all connections of a crowd share and tell it. */
export type Crowd = {
  recorder: Recorder;
  readonly address: Address;
  readonly dialect: Dialect;
  /** The sequence every connection waits for. */
  awaited: number;
  onOpen(): void;
  /** The awaited sequence, or a later one, has been seen. */
  onArrived(): void;
  onForeignFrame(): void;
  onEnd(reason: string): void;
};

/**
 * One buffer for all sockets: libuv reads into it and we have parsed it before anybody reads again. (By itself node:net
 * allocates 64 KiB for each read.)
 */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

export class Connection {
  readonly order = new Order();
  readonly #crowd: Crowd;
  readonly #socket: Socket;
  readonly #frames = new FrameReader((opcode, bytes, start, end) => this.#readFrame(opcode, bytes, start, end));
  readonly #contents = new ContentScanner((bytes, start) => this.#accept(bytes, start));
  #response: OpeningResponse | undefined;
  #greetings: number;
  #hasEnded = false;

  /** `index`: its number in the crowd. */
  constructor(crowd: Crowd, index: number, localAddress: string) {
    const { address, dialect } = crowd;
    this.#crowd = crowd;
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

  /** By a reset: tens of thousands of closed ports that wait a minute each would slow down whoever opens the next. */
  close(): void {
    this.#hasEnded = true;
    this.#socket.resetAndDestroy();
  }

  #read(count: number): boolean {
    try {
      this.#crowd.recorder.startRead();
      const start = this.#response === undefined ? 0 : this.#readResponse(this.#response, count);
      const before = this.order.next;
      if (this.#crowd.dialect.transport === "websocket") this.#frames.read(readBuffer, start, count);
      else this.#readEvents(start, count);
      const { awaited } = this.#crowd;
      if (before < awaited && this.order.next >= awaited) this.#crowd.onArrived();
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
    return true;
  }

  /** Answers where the frames begin. */
  #readResponse(response: OpeningResponse, count: number): number {
    const end = response.read(readBuffer.subarray(0, count));
    if (end === undefined) return count;
    this.#response = undefined;
    const { hello } = this.#crowd.dialect;
    if (hello !== undefined) this.#say(hello);
    if (this.#greetings === 0) this.#crowd.onOpen();
    return end;
  }

  #readFrame(opcode: number, bytes: Uint8Array, start: number, end: number): void {
    if (opcode > opcodes.binary) this.#readControlFrame(opcode, bytes, start, end);
    else if (isContent(bytes, start, end)) this.#accept(bytes, start);
    else if (this.#contents.read(bytes, start, end) === 0) this.#readOther(bytes, start, end);
  }

  /** Of a stream that has no frames, any event without a content is a greeting; comments keep it alive. */
  #readEvents(start: number, end: number): void {
    if (start === end || this.#contents.read(readBuffer, start, end) > 0) return;
    if (readBuffer.subarray(start, end).includes("event: ")) this.#countGreeting();
  }

  /** A frame without a content. */
  #readOther(bytes: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
    const answer = this.#crowd.dialect.answers?.[text];
    if (answer !== undefined) this.#say(answer);
    else if (!this.#countGreeting()) this.#crowd.onForeignFrame();
  }

  /** False: there was nothing more to greet. */
  #countGreeting(): boolean {
    if (this.#greetings === 0) return false;
    this.#greetings--;
    if (this.#greetings === 0) this.#crowd.onOpen();
    return true;
  }

  #accept(bytes: Uint8Array, start: number): void {
    const sequence = decodeSequence(bytes, start);
    this.order.accept(sequence);
    const { recorder } = this.#crowd;
    if (recorder.wants(sequence)) recorder.record(decodeStampMicros(bytes, start));
  }

  #say(text: string): void {
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
    this.#crowd.onEnd(reason);
  }
}
