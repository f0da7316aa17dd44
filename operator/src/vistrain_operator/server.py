"""One HTTP server: /metrics, /healthz, /readyz."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from vistrain_operator import metrics

log = structlog.get_logger("server")

# Keys wait and no pass ends for so long: the loop turns, but nothing is done any more.
STUCK = 120.0
LATE = 10.0  # seconds without a heartbeat of the loop


class Health:
    """What the probes judge by."""

    def __init__(self) -> None:
        self.beat = time.monotonic()
        self.reconciled = time.monotonic()
        self.leading = False
        self.ready = False

    async def run(self) -> None:
        """Note every second that the loop turns."""
        while True:
            self.beat = time.monotonic()
            await asyncio.sleep(1)

    def problem(self, waiting: int) -> str:
        """Why this process should be restarted; empty when it should not."""
        now = time.monotonic()
        if now - self.beat > LATE:
            return f"the loop has not turned for {now - self.beat:.0f} s"
        if self.leading and waiting and now - self.reconciled > STUCK:
            return f"{waiting} runs wait and none was looked at for {now - self.reconciled:.0f} s"
        return ""


async def serve(address: str, port: int, health: Health, waiting: Callable[[], int]) -> web.AppRunner:
    """Start the server; the caller cleans the runner up. Raises OSError where the port is taken."""

    async def healthz(_: web.Request) -> web.Response:
        problem = health.problem(waiting())
        age = time.monotonic() - health.reconciled
        text = problem or f"ok; leading: {health.leading}; last pass {age:.1f} s ago; waiting: {waiting()}"
        return web.Response(text=text + "\n", status=500 if problem else 200)

    async def readyz(_: web.Request) -> web.Response:
        text = "ok" if health.ready else "the watches have not brought everything yet"
        return web.Response(text=text + "\n", status=200 if health.ready else 503)

    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(metrics.REGISTRY))
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, address, port)
    await site.start()
    # `port` may be 0: then say which one it became.
    log.info("listening", addresses=[str(a) for a in runner.addresses])
    return runner
