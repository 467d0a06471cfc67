"""APIs to read from: the project's mock API, and one that answers as a test says."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

FOLDER = Path(__file__).parent.parent
WASM = os.environ.get("SPILE_WASM", FOLDER / "spile.wasm")


class Server:
    """A server for a `with` block."""

    base_url: str

    def close(self) -> None:
        """Ends it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class MockApi(Server):
    """The mock API that `SPILE_MOCK_API` names."""

    def __init__(self, *arguments: str) -> None:
        command = [os.environ["SPILE_MOCK_API"], "--until-stdin-closes", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().removeprefix("listening on ").strip()

    def close(self) -> None:
        self._process.communicate()

    def config(self) -> dict[str, Any]:
        """The configuration of the example, for this server."""
        config: dict[str, Any] = json.loads((FOLDER / "source.json").read_text())
        config["client"]["base_url"] = self.base_url
        return config

    def expected(self) -> dict[str, int]:
        """How many rows each table has that the configuration reads."""
        with urlopen(f"{self.base_url}/_expected") as response:
            tables: dict[str, int] = json.load(response)["tables"]
        read = {resource["name"] for resource in self.config()["resources"]}
        return {table: rows for table, rows in tables.items() if table.split("__")[0] in read}


Query = dict[str, str]
Answer = Callable[[Query], Any]

SILENCE = object()
"""An answer that never comes."""


class Api(Server):
    """Answers each path by what a function of the query gives: JSON, or a status, headers and JSON."""

    def __init__(self, routes: dict[str, Answer]) -> None:
        self.headers: list[dict[str, str]] = []
        self.queries: list[Query] = []
        self.hung_up = threading.Event()
        """Set when a client has given up a request that is answered by `SILENCE`."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                api.headers.append({name.lower(): value for name, value in self.headers.items()})
                api.queries.append(query)
                answer = routes[url.path](query)
                if answer is SILENCE:
                    self.connection.recv(1)
                    api.hung_up.set()
                    return
                status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
                text = json.dumps(body, ensure_ascii=False).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", "content-length": len(text), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def config(self, *resources: str | dict[str, Any], **client: Any) -> dict[str, Any]:
        """A configuration of these resources, for this server."""
        return {"client": {"base_url": self.base_url, **client}, "resources": list(resources)}
