#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the real programs and clients that mean it badly: limits, slow ones, doubtful framing, odd methods
and paths, many connections, /metrics asked for by many, readers that do not read. The supervisor serves them, and a
worker's own pages too."""
import concurrent.futures
import json
import os
import pathlib
import socket
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "integration")]
from fleet import Process  # noqa: E402
from support import wait_for  # noqa: E402

BIN = pathlib.Path(os.environ["FLOTILLA_BIN"]).resolve()
IDLE = []  # connections that never say a word
REQUEST_S, IDLE_S, MARGIN_S = 5, 15, 12  # the limits, and what a busy machine may take on top


def setUpModule():
    global FOLDER, SUPERVISOR, WORKER, ADDRESSES
    FOLDER = tempfile.TemporaryDirectory(prefix="flotilla-http-")
    path = pathlib.Path(FOLDER.name)
    (path / "fleet.yaml").write_text(
        f"state_dir: {path}\nhealth: {{port: 0}}\nmetrics: {{port: 0}}\nscaling: {{backlog_interval: 0s}}\n")
    SUPERVISOR = Process("supervisor", [BIN / "flotilla-supervisor", "-c", path / "fleet.yaml"])
    (path / "worker.yaml").write_text(
        f"server: {{address: \"127.0.0.1:9\"}}\ntask_queue: q\nmodules: [{{path: echo}}]\nhealth: {{port: 0}}\n"
        f"metrics: {{port: 0}}\nsupervisor: {{endpoint: \"ipc://{path}/supervisor.sock\"}}\n")
    SUPERVISOR.address("http")
    WORKER = Process("worker", [BIN / "io-activity-worker", "-c", path / "worker.yaml"])
    ADDRESSES = [address(SUPERVISOR), address(WORKER)]
    IDLE.extend(connect(where) for where in ADDRESSES for _ in range(3))


def tearDownModule():
    codes = WORKER.stop(), SUPERVISOR.stop()
    FOLDER.cleanup()
    assert codes == (0, 0), codes


def address(process):
    host, port = process.address("http").rsplit(":", 1)
    return host, int(port)


def connect(where):
    return socket.create_connection(where, timeout=REQUEST_S + IDLE_S + MARGIN_S)


def rest(sock):
    """All that comes until the server closes."""
    got = b""
    try:
        while part := sock.recv(1 << 16):
            got += part
    except ConnectionResetError:
        pass
    return got


def talk(where, data):
    with connect(where) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return rest(sock)


def get(where, path, headers=""):
    answer = talk(where, f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode(), body


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


class Http(unittest.TestCase):
    def tearDown(self):
        """Whatever happened: both still serve, at once."""
        for where in ADDRESSES:
            self.assertEqual(get(where, "/health")[0], 200)
        self.assertIsNone(SUPERVISOR.child.poll())
        self.assertIsNone(WORKER.child.poll())

    def each(self, data, wanted, last=True):
        for where in ADDRESSES:
            answer = talk(where, data)
            self.assertIn(status(answer), wanted, data[:60])
            if last:  # one answer, and the connection ended: nothing that followed was taken for a request
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)

    def test_limits(self):
        host = b"Host: x\r\n"
        self.each(b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + host + b"\r\n", [414])
        self.each(b"GET /v1/fleet?" + b"a" * 10240 + b" HTTP/1.1\r\n" + host + b"\r\n", [414])
        self.each(b"GET / HTTP/1.1\r\n" + host + b"".join(b"X-%d: y\r\n" % i for i in range(100)) + b"\r\n", [431])
        self.each(b"GET / HTTP/1.1\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n", [431])
        answer = talk(ADDRESSES[0], b"POST /v1/commands HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 65537\r\n\r\n")
        self.assertEqual(status(answer), 413)

    def test_methods(self):
        for where in ADDRESSES:
            for method, path in (("POST", "/metrics"), ("DELETE", "/"), ("TRACE", "/health"), ("CONNECT", "/"), ("OPTIONS", "/ready")):
                answer = talk(where, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                self.assertEqual(status(answer), 405, (method, path))
                self.assertIn(b"\r\nAllow: GET, HEAD", answer)

    def test_paths(self):
        for where in ADDRESSES:
            for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//", "//health", "/\\..\\etc", "/health%00", "/dashboard/",
                         "/dashboard/../fleet.yaml", "/v1/fleet/"):
                code, _, body = get(where, path)
                self.assertEqual(code, 404, path)
                self.assertNotIn(b"root:", body)

    def test_smuggling(self):
        second = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        for framing in (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Content-Length: 5\r\nContent-Length: 5",
                        b"Content-Length: 5, 6", b"Content-Length: -1", b"Content-Length : 5", b" folded: x",
                        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"):
            self.each(b"POST /health HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + second, [400])
        for chunk in (b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"0\r\n\r\n"):  # chunks are not taken at all
            self.each(b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + second, [411])
        self.each(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" + second, [413])

    def test_other_protocols(self):
        for data in (b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
                     b"GET / HTTP/1.1\n\n", b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", b"\r\n\r\n", b"hello\r\n\r\n"):
            self.each(data, [400])

    def test_hosts(self):
        for where in ADDRESSES:
            self.assertEqual(status(talk(where, b"GET /health HTTP/1.1\r\n\r\n")), 400)
            self.assertEqual(status(talk(where, b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")), 400)
            _, head, _ = get(where, "/metrics")
            for wanted in ("X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'none'", "Cache-Control: no-store"):
                self.assertIn(wanted, head)
            self.assertNotIn("Access-Control", head)
        for headers in (b"Host: evil.example", b"Host: 127.0.0.1\r\nOrigin: http://evil.example", b"Host: 127.0.0.1\r\nOrigin: null"):
            answer = talk(ADDRESSES[0], b"POST /v1/commands HTTP/1.1\r\n" + headers + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.assertEqual(status(answer), 403, headers)

    def test_accept_does_not_matter(self):
        for accept in ("text/html", "application/xml", "*/*", "nonsense"):
            code, head, body = get(ADDRESSES[0], "/v1/fleet", f"Accept: {accept}\r\n")
            self.assertEqual(code, 200)
            self.assertIn("Content-Type: application/json", head)
            json.loads(body)

    def test_parameters(self):
        for path in ("/v1/history?seconds=x", "/v1/history?seconds=0", "/v1/history?seconds=99999", "/v1/events?after=-1", "/v1/events?limit=%"):
            code, _, body = get(ADDRESSES[0], path)
            self.assertEqual(code, 200 if path.endswith("%") else 400, path)
            json.loads(body)

    def test_slow_requests_end(self):
        """A hundred each that send a byte a second: closed when their time is over, and others are served meanwhile."""
        slow = [connect(where) for where in ADDRESSES for _ in range(100)]
        began = sent = time.monotonic()
        for sock in slow:
            sock.sendall(b"G")
            sock.setblocking(False)
        open_ones = set(slow)

        def all_closed():
            nonlocal sent
            more = time.monotonic() - sent > 1
            for sock in list(open_ones):
                try:
                    if more:
                        sock.send(b"E")
                    self.assertEqual(sock.recv(10), b"", "an answer to a byte")
                    open_ones.discard(sock)
                except BlockingIOError:
                    pass
                except (ConnectionResetError, BrokenPipeError):
                    open_ones.discard(sock)
            sent = time.monotonic() if more else sent
            for where in ADDRESSES:
                self.assertEqual(get(where, "/health")[0], 200)
            return not open_ones
        wait_for(all_closed, "the end of the slow ones", REQUEST_S + MARGIN_S)
        self.assertGreater(time.monotonic() - began, REQUEST_S - 1)
        for sock in slow:
            sock.close()

    def test_many_connections(self):
        """Three hundred that keep their connection: 256 at most are held, newcomers are served. Makes room of the idle."""
        for where in ADDRESSES:
            held = []
            for _ in range(300):
                sock = connect(where)
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(status(sock.recv(4096)), 200)
                held.append(sock)
            self.assertEqual(get(where, "/health")[0], 200)
            alive = 0
            for sock in held:
                sock.setblocking(False)
                try:
                    alive += sock.recv(1) != b""
                except BlockingIOError:
                    alive += 1
                except ConnectionResetError:
                    pass
            self.assertLessEqual(alive, 256)
            self.assertGreater(alive, 200)
            for sock in held:
                sock.close()

    def test_many_ask_for_metrics(self):
        def ask(_):
            return get(ADDRESSES[0], "/metrics")[0]
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            codes = list(pool.map(ask, range(1000)))
        self.assertEqual(set(codes), {200})
        text = pathlib.Path(f"/proc/{SUPERVISOR.child.pid}/status").read_text()
        rss_kib = int(text.split("VmHWM:")[1].split()[0])
        if not os.environ.get("FLOTILLA_SANITIZE"):
            self.assertLess(rss_kib, 64 << 10)

    def test_readers_that_do_not_read(self):
        """Streams end that nobody reads; there are only so many of them."""
        streams = [connect(ADDRESSES[0]) for _ in range(32)]
        for sock in streams:
            sock.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(status(sock.recv(16)), 200)
        self.assertEqual(get(ADDRESSES[0], "/v1/stream")[0], 503)
        streams[0].close()

        def free_again():
            with connect(ADDRESSES[0]) as sock:
                sock.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
                return status(sock.recv(16)) == 200
        wait_for(free_again, "room for a stream")
        for sock in streams:
            sock.close()

    def test_stream_tells(self):
        with connect(ADDRESSES[0]) as sock:
            sock.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while b"event: point\n" not in got or got.count(b"event: fleet\n") < 3:
                part = sock.recv(1 << 16)
                self.assertTrue(part, got[-300:])
                got += part
        self.assertIn(b"Content-Type: text/event-stream\r\n", got)
        self.assertIn(b"retry: 2000\n\n", got)
        line = got.split(b"event: fleet\ndata: ")[1].split(b"\n")[0]
        fleet = json.loads(line)
        self.assertEqual([p["role"] for p in fleet["processes"]], ["io-activity"])


    def test_the_idle_end(self):
        """The last of the tests, so that little of the time is left."""
        for sock in IDLE:
            self.assertEqual(rest(sock), b"")
            sock.close()

    def test_ready_says_why_not(self):
        code, _, body = get(ADDRESSES[1], "/ready")
        self.assertEqual(code, 503)
        checks = json.loads(body)["checks"]
        self.assertTrue(any(not check["ok"] and check["reason"] for check in checks.values()), checks)
        self.assertEqual(get(ADDRESSES[1], "/health")[0], 200)


if __name__ == "__main__":
    unittest.main()
