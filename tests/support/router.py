# SPDX-License-Identifier: Apache-2.0
"""A supervisor's end of the wire for tests: a ZeroMQ ROUTER that keeps what workers report and sends commands. libzmq is
called as it is, so nothing of the project's own stands between a test and the worker."""
import ctypes
import json
import threading

ROUTER, LINGER, RCVTIMEO = 5 + 1, 17, 27


class Router:
    """Bound at once; a thread reads. snapshots: boot -> the newest; events and acks: lists of all."""

    def __init__(self, endpoint):
        self.zmq = ctypes.CDLL("libzmq.so.5", use_errno=True)
        for name in ("zmq_ctx_new", "zmq_socket"):
            getattr(self.zmq, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.zmq.zmq_ctx_new())
        self.socket = ctypes.c_void_p(self.zmq.zmq_socket(self.context, ROUTER))
        for option, value in ((LINGER, 0), (RCVTIMEO, 20)):
            number = ctypes.c_int(value)
            self.zmq.zmq_setsockopt(self.socket, option, ctypes.byref(number), ctypes.c_size_t(4))
        if self.zmq.zmq_bind(self.socket, endpoint.encode()):
            raise OSError(ctypes.get_errno(), f"cannot bind {endpoint}")
        self.snapshots, self.events, self.acks, self.peers, self.outbox = {}, [], [], {}, []
        self.changed, self.last_id, self.ended = threading.Condition(), 0, False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _receive(self):
        """One message's parts, or None."""
        parts = []
        while True:
            room = ctypes.create_string_buffer(1 << 17)
            size = self.zmq.zmq_recv(self.socket, room, ctypes.c_size_t(len(room)), 0)
            if size < 0:
                return None
            parts.append(room.raw[:size])
            more, length = ctypes.c_int(), ctypes.c_size_t(4)
            self.zmq.zmq_getsockopt(self.socket, 13, ctypes.byref(more), ctypes.byref(length))
            if not more.value:
                return parts

    def _serve(self):
        while not self.ended:
            parts = self._receive()
            with self.changed:
                if parts:
                    self._take(parts[0], json.loads(parts[-1]))
                for peer, frame in self.outbox:
                    self.zmq.zmq_send(self.socket, peer, ctypes.c_size_t(len(peer)), 2)
                    self.zmq.zmq_send(self.socket, frame, ctypes.c_size_t(len(frame)), 0)
                self.outbox.clear()
        self.zmq.zmq_close(self.socket)
        self.zmq.zmq_ctx_term(self.context)

    def _take(self, peer, frame):
        if frame["type"] == "snapshot":
            self.peers[frame["boot"]] = peer
            self.snapshots[frame["boot"]] = frame
        else:
            (self.events if frame["type"] == "event" else self.acks).append(frame)
        self.changed.notify_all()

    def until(self, look, what, timeout=30):
        """Wait until look() gives something, and give it back."""
        with self.changed:
            if not self.changed.wait_for(look, timeout):
                raise AssertionError(f"{what}: not within {timeout} s; events: "
                                     + json.dumps([(e["kind"], e.get("fields")) for e in self.events[-20:]])[:3000])
            return look()

    def boot(self, role, timeout=30):
        """The newest run of a role that has reported."""
        return self.until(lambda: next((b for b, s in reversed(self.snapshots.items()) if s["role"] == role), None),
                          f"a report of {role}", timeout)

    def event(self, kind, timeout=30, **fields):
        """The first event of a kind whose fields have these values."""
        def look():
            return next((e for e in self.events if e["kind"] == kind and
                         all((e.get("fields") or {}).get(k) == v for k, v in fields.items())), None)
        return self.until(look, f"event {kind} {fields}", timeout)

    def send(self, boot, frame):
        with self.changed:
            self.outbox.append((self.peers[boot], frame if isinstance(frame, bytes) else json.dumps(frame).encode()))

    def command(self, boot, command, timeout=30, args=None, addressee=None):
        """Send a command and wait for its answer."""
        self.last_id += 1
        frame = {"v": 1, "type": "command", "boot": addressee or boot, "id": self.last_id, "command": command,
                 "args": args or {}}
        self.send(boot, frame)
        return self.until(lambda: next((a for a in self.acks if a["id"] == frame["id"]), None), f"ack of {command}", timeout)

    def close(self):
        self.ended = True
        self.thread.join(10)
