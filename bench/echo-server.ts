import { type AddressInfo, createServer } from "node:net";
import { WebSocketServer } from "ws";

// Echoes what comes, once a chunk or message: the bare limit of a transport.

const [kind] = process.argv.slice(2);
const said = (address: unknown) => process.stdout.write(`port ${(address as AddressInfo).port}\n`);

if (kind === "tcp") {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => socket.write(chunk));
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => said(server.address()));
} else {
  const options = { port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 };
  const server: WebSocketServer = new WebSocketServer(options, () => said(server.address()));
  server.on("connection", (socket) => {
    socket.on("error", () => socket.terminate());
    socket.on("message", (data: Buffer) => socket.send(data));
  });
}
process.once("SIGTERM", () => process.exit(0));
