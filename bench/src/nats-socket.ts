import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A NATS client that reads only replies to its pings, and counts messages. */
export class NatsSocket {
  /** Number of lines `MSG …`. */
  messages = 0;
  readonly #socket: Socket;
  #pongs = 0;
  #tail = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#read(bytes.toString("latin1")));
    socket.on("error", () => {});
  }

  static async connect(port: number): Promise<NatsSocket> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    socket.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
    return new NatsSocket(socket);
  }

  write(lines: string): void {
    this.#socket.write(lines);
  }

  /** Resolves when the server has read everything written before. */
  async flush(): Promise<void> {
    const expected = this.#pongs + 1;
    this.write("PING\r\n");
    while (this.#pongs < expected) {
      if (this.#socket.destroyed) throw new Error("nats-server closed the connection");
      await delay(1);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    const whole = this.#tail + text;
    const end = whole.lastIndexOf("\n") + 1;
    this.#tail = whole.slice(end);
    for (const line of whole.slice(0, end).split("\r\n")) {
      if (line.startsWith("MSG ")) this.messages++;
      else if (line === "PONG") this.#pongs++;
      else if (line === "PING") this.write("PONG\r\n");
    }
  }
}
