"""The reference: a bare aiohttp pass-through that records nothing.

    python pass_through.py PORT UPSTREAM_URL

What one would write by hand: aiohttp's server below its router, one ClientSession, bodies and
headers handed on, chunks as they come.
"""

import asyncio
import sys

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}


def end_to_end(headers):
    return [(k, v) for k, v in headers.items() if k.lower() not in HOP_BY_HOP]


async def main(port: int, upstream: str) -> None:
    session = ClientSession(
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(total=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    )

    async def handle(request):
        async with session.request(
            request.method,
            upstream + request.raw_path,
            headers=end_to_end(request.headers),
            data=await request.read(),
            allow_redirects=False,
        ) as reply:
            response = web.StreamResponse(status=reply.status, headers=end_to_end(reply.headers))
            await response.prepare(request)
            async for piece in reply.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    server = web.Server(handle, auto_decompress=False, access_log=None)
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
