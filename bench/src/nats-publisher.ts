import { once } from "node:events";
import { connect, type Socket } from "node:net";

const LINE_END = Buffer.from("\r\n");

/**
 * Publishes with the bare NATS client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
 *
 * Publications of one call are one write, so that the process of the bench spends almost no CPU time on them.
 */
export class NatsPublisher {
  readonly #socket: Socket;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#read(bytes.toString()));
    socket.on("error", (error) => {
      this.#failure ??= error;
    });
    socket.on("close", () => {
      this.#failure ??= new Error("nats-server closed the publisher's connection");
    });
  }

  static async connect(port: number): Promise<NatsPublisher> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    socket.write('CONNECT {"verbose":false,"pedantic":false,"name":"fanwire-bench"}\r\n');
    return new NatsPublisher(socket);
  }

  /** Publishes each content to every subject. Throws when the connection has failed since the last call. */
  publish(subjects: readonly string[], contents: readonly Buffer[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    const parts = contents.flatMap((content) =>
      subjects.flatMap((subject) => [Buffer.from(`PUB ${subject} ${content.length}\r\n`), content, LINE_END]),
    );
    this.#socket.write(Buffer.concat(parts));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Processes the rare lines of the server: INFO, PING, and -ERR before it closes the connection. */
  #read(text: string): void {
    if (/^PING\r$/m.test(text)) this.#socket.write("PONG\r\n");
    const error = /^-ERR (.*)\r$/m.exec(text)?.[1];
    if (error !== undefined) this.#failure ??= new Error(`nats-server refused the publisher: ${error}`);
  }
}
