"""A proxy before the API server that counts a client's writes and tells of each when it is done."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType

from aiohttp import ClientError, ClientSession, ClientTimeout, web

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OF_THE_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding"})


class WriteProxy:
    """Plain HTTP on loopback, as an async context manager; `url` is what the client is to be told."""

    def __init__(self, upstream: str, authority: ssl.SSLContext, after_write: Callable[[int], None]) -> None:
        """`after_write` gets the number of the write, from 1, before the client hears of its success."""
        self.writes: list[str] = []
        """Method and path of each write that the server accepted."""
        self._upstream = upstream
        self._authority = authority
        self._after_write = after_write

    async def __aenter__(self) -> WriteProxy:
        self._session = ClientSession(timeout=ClientTimeout(total=None), trust_env=False)
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_THE_HOP}
        url = self._upstream + request.path_qs
        body = await request.read() or None
        async with self._session.request(
            request.method, url, data=body, headers=headers, ssl=self._authority
        ) as upstream:
            kind = upstream.headers.get("Content-Type", "application/json")
            if request.method in WRITES:
                content = await upstream.read()
                if upstream.status < 300:
                    self.writes.append(f"{request.method} {request.path}")
                    self._after_write(len(self.writes))
                return web.Response(status=upstream.status, body=content, headers={"Content-Type": kind})
            answer = web.StreamResponse(status=upstream.status, headers={"Content-Type": kind})
            try:
                await answer.prepare(request)
                async for chunk in upstream.content.iter_any():  # a watch goes on for minutes
                    await answer.write(chunk)
                await answer.write_eof()
            except (ClientError, ConnectionError):
                pass  # the client is gone
            return answer
