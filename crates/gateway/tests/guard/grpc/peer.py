"""A gRPC service and its client, which exchange plain bytes.

peer.py serve               prints the port, and serves until standard input ends
peer.py call ADDRESS TOKEN  makes a call of each kind and checks what comes
"""

import sys
from concurrent import futures

import grpc

SERVICE = "api"  # Its methods stand at /api/v1/...


def seen(context):
    """What a call's metadata say, for the client to compare."""
    fields = [f"{name}={value}" for name, value in context.invocation_metadata()]
    return "\n".join(fields).encode()


def whoami(_, context):
    return seen(context)


def upper(request, context):
    context.set_trailing_metadata((("x-kept", "at the end"), ("x-countersign-login", "forged")))
    return request.upper()


def missing(_, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "there is none, \u00e9")


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()
    context.set_trailing_metadata((("x-kept", "after the stream"),))


def join(requests, _):
    return b" ".join(requests)


def talk(requests, context):
    context.send_initial_metadata((("x-begun", "yes"),))
    for request in requests:
        yield b"you said " + request


def serve():
    handlers = {
        "v1/Whoami": grpc.unary_unary_rpc_method_handler(whoami),
        "v1/Upper": grpc.unary_unary_rpc_method_handler(upper),
        "v1/Missing": grpc.unary_unary_rpc_method_handler(missing),
        "v1/Count": grpc.unary_stream_rpc_method_handler(count),
        "v1/Join": grpc.stream_unary_rpc_method_handler(join),
        "v1/Talk": grpc.stream_stream_rpc_method_handler(talk),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


class Asking:
    """Requests of which the next is sent once the answer to the last has come."""

    def __init__(self, first):
        self.next, self.ready = first, futures.Future()
        self.ready.set_result(True)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.ready.result():
            raise StopIteration
        self.ready = futures.Future()
        return self.next

    def go_on(self, text):
        self.next = text
        self.ready.set_result(text is not None)


def call(address, token):
    options = (("grpc.enable_http_proxy", 0),)
    channel = grpc.insecure_channel(address, options)
    bearer = (("authorization", "Bearer " + token),)
    forged = bearer + (("x-countersign-login", "forged"), ("x-own", "7"))

    who = channel.unary_unary("/api/v1/Whoami")(b"", metadata=forged).decode().split("\n")
    logins = [line for line in who if line.startswith("x-countersign-login=")]
    assert len(logins) == 1 and "forged" not in logins[0], who
    assert "x-own=7" in who and not any(it.startswith("authorization") for it in who), who

    text, ended = channel.unary_unary("/api/v1/Upper").with_call(b"hello", metadata=bearer)
    trailing = dict(ended.trailing_metadata())
    assert text == b"HELLO", text
    assert trailing.get("x-kept") == "at the end", trailing
    assert not any("countersign" in name for name in trailing), trailing

    large = b"a" * 3_000_000
    assert channel.unary_unary("/api/v1/Upper")(large, metadata=bearer) == large.upper()

    try:
        channel.unary_unary("/api/v1/Missing")(b"", metadata=bearer)
        raise AssertionError("it was found")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert error.details() == "there is none, \u00e9", error

    counted = channel.unary_stream("/api/v1/Count")(b"1000", metadata=bearer)
    assert [int(number) for number in counted] == list(range(1000))
    assert dict(counted.trailing_metadata())["x-kept"] == "after the stream"

    words = [b"one", b"two", b"three"]
    assert channel.stream_unary("/api/v1/Join")(iter(words), metadata=bearer) == b"one two three"

    asking = Asking(b"0")
    answers = channel.stream_stream("/api/v1/Talk")(asking, metadata=bearer)
    for number in range(20):
        assert next(answers) == b"you said %d" % number
        asking.go_on(b"%d" % (number + 1) if number < 19 else None)
    assert list(answers) == [] and answers.code() == grpc.StatusCode.OK
    assert dict(answers.initial_metadata())["x-begun"] == "yes"

    for metadata in ((), (("authorization", "Bearer a.b.c"),)):
        try:
            channel.unary_unary("/api/v1/Upper")(b"", metadata=metadata)
            raise AssertionError("it passed")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
    print("all well")


if sys.argv[1] == "serve":
    serve()
else:
    call(*sys.argv[2:])
