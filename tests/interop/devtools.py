# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium and its DevTools protocol: a WebSocket client of what that needs (text frames of one connection,
RFC 6455), standard library only."""
import base64
import hashlib
import itertools
import json
import os
import pathlib
import secrets
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request


# The contrast of every piece of text that is shown, as WCAG computes it; what is below 4.5 comes back.
CONTRAST = """
(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const lum = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                     return .2126 * r + .7152 * g + .0722 * b; };
  const back = el => {
    const layers = [];
    for (; el; el = el.parentElement) { const c = parse(getComputedStyle(el).backgroundColor); layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((under, c) => over(c, under), [255, 255, 255, 1]);
  };
  const low = [];
  let count = 0;
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !el.checkVisibility() || el.closest("noscript, caption, .skip")) continue;
    const style = getComputedStyle(el), svg = el instanceof SVGElement;
    const behind = back(svg ? el.closest("figure") : el), text = over(parse(svg ? style.fill : style.color), behind);
    const [a, b] = [lum(text), lum(behind)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    count++;
    if (ratio < 4.5) low.push([el.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return {count, low};
})()
"""


class WebSocket:
    def __init__(self, url, timeout=30):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.buffer = b""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall((f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._take(1)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if " 101 " not in head.decode().splitlines()[0] or accept not in head.decode():
            raise AssertionError(f"no WebSocket: {head!r}")

    def _take(self, count):
        while len(self.buffer) < count:
            got = self.socket.recv(1 << 16)
            if not got:
                raise ConnectionError("the browser closed the connection")
            self.buffer += got
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, text):
        self._frame(1, text.encode())

    def _frame(self, opcode, data):
        mask = secrets.token_bytes(4)
        size = len(data)
        head = bytes([0x80 | opcode])
        head += (bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size) if size < 1 << 16
                 else b"\xff" + struct.pack("!Q", size))
        pad = (mask * (size // 4 + 1))[:size]
        self.socket.sendall(head + mask + (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big"))

    def receive(self):
        """The next text message."""
        whole = b""
        while True:
            first, second = self._take(2)
            size = second & 0x7f
            if size > 125:
                size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
            data = self._take(size)
            if first & 0xf == 8:
                raise ConnectionError("the browser ended the connection")
            if first & 0xf == 9:
                self._frame(10, data)
            elif first & 0xf < 3:
                whole += data
                if first & 0x80:
                    return whole.decode()


class Page:
    """One tab. Everything that it complains of is in .complaints: exceptions, console errors, failed loads, CSP."""

    def __init__(self, url):
        self.ws = WebSocket(url)
        self.ws.socket.settimeout(None)
        self.numbers, self.answers, self.complaints = itertools.count(1), {}, []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        for domain in ("Page", "Runtime", "Log", "Network", "Performance", "HeapProfiler", "Audits"):
            self.call(domain + ".enable")

    def _read(self):
        try:
            while True:
                message = json.loads(self.ws.receive())
                with self.changed:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self._event(message["method"], message["params"])
                    self.changed.notify_all()
        except (ConnectionError, OSError, ValueError):
            with self.changed:
                self.answers = None
                self.changed.notify_all()

    def _event(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"])[:600])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Audits.issueAdded" and "ContentSecurityPolicy" in params["issue"]["code"]:
            self.complaints.append(json.dumps(params["issue"])[:600])

    def call(self, method, timeout=60, **params):
        number = next(self.numbers)
        self.ws.send(json.dumps({"id": number, "method": method, "params": params}))
        with self.changed:
            if not self.changed.wait_for(lambda: self.answers is None or number in self.answers, timeout):
                raise AssertionError(f"{method}: no answer in {timeout} s")
            if self.answers is None:
                raise AssertionError(f"{method}: the browser is gone")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def run(self, script):
        """The value of an expression (a promise is awaited)."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {json.dumps(result['exceptionDetails'])[:800]}")
        return result["result"].get("value")

    def until(self, script, what, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            try:
                value = self.run(script)
            except AssertionError as error:
                if "context" not in str(error):  # the page is just being left
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {timeout} s")
            time.sleep(0.05)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'", "the page")

    def size(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def shot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def memory(self):
        """Used heap in bytes and nodes of the document, after the garbage is collected."""
        self.call("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in self.call("Performance.getMetrics")["metrics"]}
        return {"heap": metrics["JSHeapUsedSize"], "nodes": metrics["Nodes"], "listeners": metrics["JSEventListeners"]}


class Chromium:
    def __init__(self, program="chromium"):
        self.folder = tempfile.TemporaryDirectory(prefix="flotilla-chromium-")
        self.child = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "HOME": self.folder.name})
        self.address = None
        for line in self.child.stderr:
            if "DevTools listening on" in line:
                self.address = urllib.parse.urlsplit(line.split()[-1]).netloc
                break
        if not self.address:
            raise AssertionError("Chromium did not start")
        threading.Thread(target=self.child.stderr.read, daemon=True).start()

    def page(self):
        request = urllib.request.Request(f"http://{self.address}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Page(json.load(answer)["webSocketDebuggerUrl"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        try:
            self.folder.cleanup()
        except OSError:
            pass  # a process of the browser writes its last
