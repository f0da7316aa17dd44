"""The HTTP server of a trainer: /metrics, /progress, /healthz."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from vistrain_api.protocol import Progress


class TelemetryServer:
    """Serves in a thread of its own until `close`."""

    def __init__(
        self, host: str, port: int, progress: Callable[[], Progress], registry: CollectorRegistry
    ) -> None:
        """Bind. Raises OSError when the port is taken."""
        pages: dict[str, Callable[[], tuple[str, bytes]]] = {
            "/metrics": lambda: (CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/progress": lambda: (
                "application/json",
                progress().model_dump_json(by_alias=True, exclude_none=True).encode(),
            ),
            "/healthz": lambda: ("text/plain", b"ok\n"),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                kind, body = page() if page is not None else ("text/plain", b"not found\n")
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests are not logged: the operator asks every ten seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
