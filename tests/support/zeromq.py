# SPDX-License-Identifier: Apache-2.0
"""Just enough of libzmq for tests of the supervisor's port, over ctypes: whatever Python runs them, nothing is installed."""
import ctypes

DEALER, ROUTER = 5, 6
LINGER, ROUTING_ID, SNDHWM, SNDTIMEO, RCVTIMEO, IMMEDIATE = 17, 5, 23, 28, 27, 39
CURVE_PUBLICKEY, CURVE_SECRETKEY, CURVE_SERVERKEY = 48, 49, 50
DONTWAIT, SNDMORE = 1, 2

lib = ctypes.CDLL("libzmq.so.5", use_errno=True)
for function in ("zmq_ctx_new", "zmq_socket"):
    getattr(lib, function).restype = ctypes.c_void_p
lib.zmq_socket.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.zmq_setsockopt.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
lib.zmq_connect.argtypes = lib.zmq_bind.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
lib.zmq_send.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
lib.zmq_recv.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
lib.zmq_close.argtypes = lib.zmq_ctx_term.argtypes = [ctypes.c_void_p]
lib.zmq_ctx_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]


class Context:
    """Sockets of one test; all are closed at its end, and what they did not send is gone."""

    def __init__(self):
        self.handle, self.sockets = lib.zmq_ctx_new(), []
        lib.zmq_ctx_set(self.handle, 2, 8000)  # ZMQ_MAX_SOCKETS

    def dealer(self, endpoint, keys=None, identity=None, queue=1000):
        """Connected; keys: (secret, public, server's public) as Z85 text."""
        socket = Socket(self, DEALER)
        socket.set(SNDHWM, queue)
        if identity is not None:
            socket.set(ROUTING_ID, identity)
        if keys:
            for option, key in zip((CURVE_SECRETKEY, CURVE_PUBLICKEY, CURVE_SERVERKEY), keys):
                socket.set(option, key.encode())
        if lib.zmq_connect(socket.handle, endpoint.encode()):
            raise OSError(ctypes.get_errno(), f"cannot connect to {endpoint}")
        return socket

    def router(self, endpoint):
        socket = Socket(self, ROUTER)
        if lib.zmq_bind(socket.handle, endpoint.encode()):
            raise OSError(ctypes.get_errno(), f"cannot listen on {endpoint}")
        return socket

    def close(self):
        for socket in self.sockets:
            socket.close()
        lib.zmq_ctx_term(self.handle)


class Socket:
    def __init__(self, context, kind):
        self.handle = lib.zmq_socket(context.handle, kind)
        if not self.handle:
            raise OSError(ctypes.get_errno(), "cannot make a socket")
        context.sockets.append(self)
        self.set(LINGER, 0)
        self.set(SNDTIMEO, 10000)

    def set(self, option, value):
        data = value if isinstance(value, bytes) else ctypes.string_at(ctypes.byref(ctypes.c_int(value)), 4)
        if lib.zmq_setsockopt(self.handle, option, data, len(data)):
            raise OSError(ctypes.get_errno(), f"cannot set option {option}")

    def send(self, *frames, flags=0):
        """One message; False when it does not fit or nobody is there (within 10 s, at once with DONTWAIT)."""
        for i, frame in enumerate(frames):
            more = SNDMORE if i + 1 < len(frames) else 0
            if lib.zmq_send(self.handle, frame, len(frame), flags | more) < 0:
                return False
        return True

    def receive(self, timeout_ms=10000, size=1 << 17):
        """One frame, or None."""
        self.set(RCVTIMEO, timeout_ms)
        buffer = ctypes.create_string_buffer(size)
        length = lib.zmq_recv(self.handle, buffer, size, 0)
        return None if length < 0 else buffer.raw[:length]

    def close(self):
        if self.handle:
            lib.zmq_close(self.handle)
            self.handle = None


def curve_keypair():
    """(secret, public)"""
    public, secret = ctypes.create_string_buffer(41), ctypes.create_string_buffer(41)
    lib.zmq_curve_keypair(public, secret)
    return secret.value.decode(), public.value.decode()
