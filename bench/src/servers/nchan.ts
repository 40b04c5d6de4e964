import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainDialect } from "../client/dialect.ts";
import { publishPaced } from "../pacer.ts";
import { untilOpen } from "./nats-websocket.ts";
import { freePort } from "./ports.ts";
import { Absent, type Server } from "./server.ts";

const PROGRAM = "/usr/sbin/nginx";
const MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** One worker, no log, and no stored messages. */
function configuration(port: number, folder: string): string {
  return `load_module ${MODULE};
user root; daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit; worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  nchan_shared_memory_size 512M;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /publish { nchan_publisher; nchan_channel_id all; nchan_message_buffer_length 20000; }
    location = / { nchan_subscriber websocket; nchan_channel_id all; nchan_subscriber_first_message newest; }
  }
}
`;
}

export const nchan: Server = {
  name: "nchan",
  summary: "peer: nginx with the nchan module, published to over its HTTP API",
  start: async (lab) => {
    if (!existsSync(PROGRAM) || !existsSync(MODULE)) throw new Absent("libnginx-mod-nchan is not installed");
    const folder = mkdtempSync(join(tmpdir(), "fanwire-bench-nchan-"));
    const port = await freePort();
    const file = join(folder, "nginx.conf");
    writeFileSync(file, configuration(port, folder));
    const child = lab.children.start("nchan", PROGRAM, ["-p", folder, "-c", file], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    await Promise.race([untilOpen(port), child.died]);
    const publisher = connect(port, "127.0.0.1");
    publisher.resume();
    return {
      pid: child.pid,
      died: child.died,
      address: { host: "127.0.0.1", port },
      dialect: plainDialect,
      publish: (plan) => publishPaced(plan, (contents) => post(publisher, contents)),
      stop: async () => {
        publisher.destroy();
        await child.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

/** Pipelines the requests, because their answers are not used. */
function post(socket: Socket, contents: readonly Buffer[]): void {
  const requests = contents.map(
    (content) =>
      `POST /publish HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: ${content.length}\r\n\r\n${content.toString()}`,
  );
  socket.write(requests.join(""));
}
