"""Asks a method of a service with gRPC's own library (grpcio, the C core), which has no line of ours.

    grpc_calls.py HOST:PORT TOKEN METHOD REQUEST_HEX [--ca FILE] [--times N] [--deadline SECONDS]

METHOD is package.Service/Method. Each answer is a JSON line: the status, the response, and what
grpc-status-details-bin holds. With --times, N calls are under way at once, over one connection.
"""

import argparse
import json

import grpc


def channel_to(target, ca):
    if ca is None:
        return grpc.insecure_channel(target)
    with open(ca, "rb") as file:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()))


def as_it_is(data):
    return data


def told(call):
    details = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    answer = {"status": call.code().name, "details_hex": details.hex()}
    if call.code() is grpc.StatusCode.OK:
        answer["response_hex"] = call.result().hex()
    return answer


def main():
    parser = argparse.ArgumentParser()
    for name in ("target", "token", "method", "request_hex"):
        parser.add_argument(name)
    parser.add_argument("--ca")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=20)
    args = parser.parse_args()
    with channel_to(args.target, args.ca) as channel:
        ask = channel.unary_unary("/" + args.method, as_it_is, as_it_is)
        # An empty token is none.
        metadata = [("authorization", "Bearer " + args.token)] if args.token else []
        request = bytes.fromhex(args.request_hex)
        calls = [
            ask.future(request, timeout=args.deadline, metadata=metadata)
            for _ in range(args.times)
        ]
        for call in calls:
            call.exception()
            print(json.dumps(told(call)))


main()
