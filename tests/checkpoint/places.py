"""Places for stores: folders, memory, an S3 stand-in on loopback that the tests start, and a proxy that fails."""

import contextlib
import http.client
import http.server
import itertools
import socket
import struct
import threading

import numpy as np

from mcore.checkpoint.store.opening import open_store

_NAMES = itertools.count()
KEYS = {"access_key_id": "tests", "secret_access_key": "tests", "region": "us-east-1"}


def bucket_at(endpoint, *, bucket=None, through=None, **options):
    """A store in a new bucket, or in `bucket`; through the proxy `through`, if given."""
    name = bucket or f"bucket-{next(_NAMES)}"
    if bucket is None:
        _request(endpoint, "PUT", f"/{name}")
    return open_store(f"s3://{name}/team/weights", endpoint=through or endpoint, **KEYS, **options)


def damage(store, key, content):
    """Puts other bytes in the place of a file, as a rotten disk or a stranger would."""
    if hasattr(store, "path"):
        file = store.path / key
        file.unlink()
        file.write_bytes(content)
    else:
        import obstore

        obstore.put(store._objects, key, content)


def some_arrays(seed=0, size=1000):
    """Arrays of several types and shapes, in an order that isn't sorted."""
    random = np.random.default_rng(seed)
    return {
        "b.weight": random.random((size, 7), dtype=np.float32),
        "b.bias": random.random(7),
        "a.count": np.array(3, np.int64),
    }


class FailingProxy:
    """Passes requests on to `endpoint`; `fail(number, handler)` may answer one itself, and says so by True.

    Attributes:
        requests: (method, path) of all that came, in order.
    """

    def __init__(self, endpoint, fail):
        self.endpoint, self.fail, self.requests = endpoint, fail, []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.requests.append((self.command, self.path))
                if not proxy.fail(len(proxy.requests) - 1, self):
                    self.passed_on()

            def passed_on(self):
                status, headers, content = _request(
                    proxy.endpoint, self.command, self.path, self.body, dict(self.headers)
                )
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length") if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                self.wfile.write(content)

            def reset(self):
                """Ends the connection as a broken line does."""
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://{}:{}".format(*self.server.server_address[:2])
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def _request(endpoint, method, path, body=None, headers=()):
    with contextlib.closing(http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)) as line:
        line.request(method, path, body=body, headers=dict(headers))
        answer = line.getresponse()
        return answer.status, answer.getheaders(), answer.read()
