"""Serves the viewer's page on the loopback interface.

The page asks for one frame after the other (`POST /tick`), so frames come as fast as this machine draws them and never
pile up. Only this machine can connect, and only the page itself may ask: requests with another host name (DNS
rebinding) or without the page's token (other web sites) are refused.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from batchsim.agents.errors import AgentError
from batchsim.agents.viewer.session import Session
from batchsim.errors import BatchSimError
from batchsim.scenes import SceneError

HOST = "127.0.0.1"
_LONGEST_BODY = 1 << 16
_TOKEN = "X-Batchsim-Token"
_TYPES = {"viewer.js": "text/javascript", "viewer.css": "text/css"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'"


class ViewerServer:
    """The page of one `Session`.

    Args:
        make_session: Makes the session. It is called in the thread that also runs all of the session's methods, since
            an OpenGL context belongs to one thread.
        port: 0 takes any free port.

    Raises:
        AgentError: If the port is taken.
    """

    def __init__(self, make_session: Callable[[], Session], port: int = 0) -> None:
        self._worker = ThreadPoolExecutor(1, "viewer")
        self.token = secrets.token_urlsafe(16)
        try:
            self._http = _Server((HOST, port), self)
        except (OSError, OverflowError) as error:
            raise AgentError(f"--port {port}: the viewer cannot listen there ({error}); choose another.") from error
        try:
            self._session = self._worker.submit(make_session).result()
        except BaseException:
            self._http.server_close()
            self._worker.shutdown()
            raise

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self._http.server_address[1]}/"

    def serve(self) -> None:
        """Answers requests until `stop` is called in another thread, or an interrupt."""
        self._http.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Ends `serve`."""
        self._http.shutdown()

    def close(self) -> None:
        """Releases the port and the session."""
        self._http.server_close()
        self._worker.submit(self._session.close).result()
        self._worker.shutdown()

    def page(self) -> bytes:
        """Returns the HTML page."""
        return _static("page.html").replace(b"{{ token }}", self.token.encode())

    def get(self, path: str) -> tuple[bytes, str] | None:
        """Returns body and type of a GET request; None for an unknown path."""
        name = path.partition("?")[0].removeprefix("/")
        if name == "":
            return self.page(), "text/html; charset=utf-8"
        if name in _TYPES:
            return _static(name), _TYPES[name]
        if name == "map.png":
            return self._worker.submit(self._session.map_png).result(), "image/png"
        return None

    def post(self, path: str, request: dict[str, Any]) -> tuple[bytes, str] | None:
        """Returns body and type of a POST request; None for an unknown path."""
        actions: dict[str, Callable[[], Any]] = {
            "/about": lambda: None,
            "/scene": lambda: self._session.open_scene(str(request.get("name"))),
            "/mode": lambda: self._session.set_mode(str(request.get("mode"))),
            "/next": self._session.next_episode,
        }
        if path == "/tick":
            keys = [key for key in request.get("keys") or () if isinstance(key, str)][:8]
            call = self._worker.submit(self._session.tick, keys, bool(request.get("moving", True)))
            return _packed(*call.result()), "application/octet-stream"
        if path not in actions:
            return None
        self._worker.submit(actions[path]).result()
        about = self._worker.submit(self._session.about).result()
        return json.dumps(about).encode(), "application/json"


def _packed(facts: dict[str, Any], images: list[bytes]) -> bytes:
    """Returns the JSON text and the images, each after its length as a little-endian uint32."""
    parts = [json.dumps(facts).encode(), *images]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def _static(name: str) -> bytes:
    return (files("batchsim.agents.viewer") / "static" / name).read_bytes()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], viewer: ViewerServer) -> None:
        super().__init__(address, _Handler)
        self.viewer = viewer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self._comes_from_here():
            self._answer(lambda: self.server.viewer.get(self.path))

    def do_POST(self) -> None:
        viewer = self.server.viewer
        if not self._comes_from_here():
            return
        if not secrets.compare_digest(self.headers.get(_TOKEN, ""), viewer.token):
            self._send(HTTPStatus.FORBIDDEN, b"This request does not come from the viewer's page.", "text/plain")
            return
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= _LONGEST_BODY:
                raise ValueError
            request = json.loads(self.rfile.read(length) or b"{}")
            if not isinstance(request, dict):
                raise ValueError
        except ValueError:
            self.close_connection = True
            self._send(HTTPStatus.BAD_REQUEST, b"Expected a JSON object.", "text/plain")
            return
        self._answer(lambda: viewer.post(self.path, request))

    def _comes_from_here(self) -> bool:
        """Refuses other host names, as a page elsewhere would use whose name resolves to this machine."""
        port = self.server.server_address[1]
        if self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}"):
            return True
        self.close_connection = True
        self._send(HTTPStatus.FORBIDDEN, b"Open the viewer as http://127.0.0.1 on this machine.", "text/plain")
        return False

    def _answer(self, call: Callable[[], tuple[bytes, str] | None]) -> None:
        try:
            found = call()
        except (BatchSimError, SceneError, AgentError) as error:
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).encode("utf-8", "replace"), "text/plain")
            return
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, b"Not found.", "text/plain")
        else:
            self._send(HTTPStatus.OK, *found)

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the page was closed

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
