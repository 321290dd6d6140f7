import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { SocketLink } from "../../platform/socket-link.ts";
import { ALPN_PROTOCOL } from "../../protocol/limits.ts";
import type { DialledLink } from "../../protocol/link.ts";
import { PREFACE } from "../../protocol/sniff.ts";
import { type Dialer, LinkError } from "../dialer.ts";

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  /** Speak TLS; a certificate authority of one's own as PEM. */
  readonly tls?: { readonly ca?: string; readonly serverName?: string };
}

/**
 * Links over raw TCP, or TLS with the application protocol posthorn/1. Node only. [LNK-2] [LNK-4]
 */
export function tcp(options: TcpOptions): Dialer {
  const { host, port, tls } = options;
  const scheme = tls === undefined ? "tcp" : "tls";
  return {
    kind: "tcp",
    address: `${scheme}://${host}:${port}`,
    dial: (signal) =>
      new Promise<DialledLink>((resolve, reject) => {
        signal.throwIfAborted();
        const socket = open(options);
        const abandon = () => {
          socket.destroy();
          reject(signal.reason);
        };
        const failed = (error: Error) => {
          signal.removeEventListener("abort", abandon);
          reject(new LinkError(ErrorCode.LINK_LOST, error.message, { cause: error }));
        };
        signal.addEventListener("abort", abandon, { once: true });
        socket.once("error", failed);
        socket.once(tls === undefined ? "connect" : "secureConnect", () => {
          signal.removeEventListener("abort", abandon);
          socket.off("error", failed);
          // Until the link is started an error must not be without a listener.
          socket.on("error", () => {});
          socket.pause();
          socket.write(PREFACE);
          resolve(new SocketLink(socket, `${host}:${port}`));
        });
      }),
  };
}

function open({ host, port, tls }: TcpOptions): Socket {
  const socket =
    tls === undefined
      ? connectTcp({ host, port, noDelay: true, allowHalfOpen: true })
      : connectTls({
          host,
          port,
          ALPNProtocols: [ALPN_PROTOCOL],
          ...(tls.ca === undefined ? {} : { ca: tls.ca }),
          ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
        });
  socket.setNoDelay(true);
  return socket;
}
