"""A web server on this machine, for tests of what is fetched."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The running server with its `url`, reached without proxies; its `stop` is set when the test is over."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    quiet = type("Quiet", (handler,), {"log_message": lambda *arguments: None})
    running: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    running.stop = threading.Event()
    running.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.stop.set()
    running.shutdown()
    running.server_close()
