import { connect, type Socket } from "node:net";
import { decodeSequence, decodeStampMicros, isContent } from "../content.ts";
import { encodeClientFrame, FrameReader, opcodes } from "./frames.ts";
import { UpgradeResponse, upgradeRequest } from "./handshake.ts";
import { Order } from "./order.ts";
import type { Recorder } from "./recorder.ts";

export type Address = { host: string; port: number; path: string };

/** What all connections of a crowd share and tell it. */
export type Crowd = {
  recorder: Recorder;
  /** Frames with something else than our content that a server sends each connection before any publication. */
  readonly greetings: number;
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
  readonly #frames: FrameReader;
  #response: UpgradeResponse | undefined = new UpgradeResponse();
  #greetings: number;
  #hasEnded = false;

  constructor(address: Address, localAddress: string | undefined, crowd: Crowd) {
    this.#crowd = crowd;
    this.#greetings = crowd.greetings;
    this.#frames = new FrameReader((opcode, bytes, start, end) => this.#readFrame(opcode, bytes, start, end));
    this.#socket = connect({
      host: address.host,
      port: address.port,
      ...(localAddress === undefined ? {} : { localAddress }),
      noDelay: true,
      onread: { buffer: readBuffer, callback: (count) => this.#read(count) },
    });
    this.#socket.once("connect", () =>
      this.#socket.write(upgradeRequest(`${address.host}:${address.port}`, address.path)),
    );
    this.#socket.once("error", (error) => this.#end(error.message));
    this.#socket.once("close", () => this.#end("the server closed the connection"));
  }

  close(): void {
    this.#hasEnded = true;
    this.#socket.destroy();
  }

  #read(count: number): boolean {
    try {
      this.#crowd.recorder.startRead();
      const start = this.#response === undefined ? 0 : this.#readResponse(this.#response, count);
      const before = this.order.next;
      this.#frames.read(readBuffer, start, count);
      const { awaited } = this.#crowd;
      if (before < awaited && this.order.next >= awaited) this.#crowd.onArrived();
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
    return true;
  }

  /** Answers where the frames begin. */
  #readResponse(response: UpgradeResponse, count: number): number {
    const end = response.read(readBuffer.subarray(0, count));
    if (end === undefined) return count;
    this.#response = undefined;
    if (this.#greetings === 0) this.#crowd.onOpen();
    return end;
  }

  #readFrame(opcode: number, bytes: Uint8Array, start: number, end: number): void {
    if (opcode > opcodes.binary) {
      this.#readControlFrame(opcode, bytes, start, end);
    } else if (isContent(bytes, start, end)) {
      const sequence = decodeSequence(bytes, start);
      this.order.accept(sequence);
      const { recorder } = this.#crowd;
      if (recorder.wants(sequence)) recorder.record(decodeStampMicros(bytes, start));
    } else if (this.#greetings > 0) {
      this.#greetings--;
      if (this.#greetings === 0) this.#crowd.onOpen();
    } else {
      this.#crowd.onForeignFrame();
    }
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
