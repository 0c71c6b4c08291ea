"""The fastest provider that Python can be: fixed answers over a raw protocol.

    python upstream.py PORT

POST to a path ending in /stream gives server-sent events (CHUNKS of them, each written on its
own), any other path one JSON answer.
"""

import asyncio
import sys

USAGE = b'"usage":{"prompt_tokens":300,"completion_tokens":120,"total_tokens":420}'
TEXT = b"All happy families are alike; each unhappy family is unhappy in its own way. " * 8
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}],%b}'
    % (TEXT, USAGE)
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
    b"openai-processing-ms: 12\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
)
CHUNKS = 200
DELTA = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":'
    b'"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_1","choices":[{"index":0,"delta":'
    b'{"content":" word"},"logprobs":null,"finish_reason":null}]}\n\n'
)
LAST = b'data: {"id":"chatcmpl-1","model":"gpt-4o-mini-2024-07-18","choices":[],%b}\n\n' % USAGE
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            if b"/stream " in head.split(b"\r\n", 1)[0]:
                self.tasks = asyncio.ensure_future(self.stream())
            else:
                self.transport.write(WHOLE)

    async def stream(self):
        self.transport.write(STREAM_HEAD)
        for _ in range(CHUNKS - 1):
            await asyncio.sleep(0)  # each piece its own write
            self.transport.write(chunk(DELTA))
        self.transport.write(chunk(LAST + b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
