#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peers that mean no good, or do not know better, at the supervisor's ZeroMQ port: nothing crashes, nothing foreign gets
into /metrics, memory and descriptors come back, honest peers are heard."""
import os
import random
import signal
import struct
import time
import unittest
import uuid

from peers import SupervisorTest, metric, mode, snapshot, text, wait_for
import zeromq
from support import SANITIZED

GREETING_NULL = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
GREETING_V2 = b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00"  # ZMTP 2.0, DEALER, no identity
GREETING_V1 = b"\x01\x00"  # ZMTP 1.0: an anonymous peer
READY = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
GROWTH_KB = 32 * 1024 * (8 if SANITIZED else 1)


class WithKeys(SupervisorTest):
    def setUp(self):
        super().setUp()
        self.start_with_keys()
        self.before = self.descriptors(), self.resident_kb()

    def all_is_well(self):
        """Nobody was heard but the honest peer."""
        self.good_peer_is_heard(keys=self.pair("io-activity"))
        self.assertEqual([p["identity"] for p in self.processes()], ["honest"])
        self.assertNotIn("bad_frames_total", self.page())
        wait_for(lambda: self.descriptors() <= self.before[0] + 2, "the descriptors are back")
        self.assertLess(self.resident_kb(), self.before[1] + GROWTH_KB)

    def test_random_bytes(self):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        noise = random.Random(seed)
        for _ in range(1000):
            with self.tcp() as peer:
                try:
                    peer.sendall(noise.randbytes(4096))
                except OSError:
                    pass  # it has hung up already
        self.all_is_well()
        wait_for(lambda: self.value("flotilla_fleet_handshakes_failed_total") > 0, "failed handshakes are counted")

    def test_old_and_plain_peers(self):
        for greeting in (GREETING_V1 + b"\x0c\x00hello world", GREETING_V2 + b"\x00\x05hello",
                         GREETING_NULL + READY + b"\x00\x05hello"):
            peer = self.tcp()
            self.addCleanup(peer.close)
            try:
                peer.sendall(greeting * 2)
            except OSError:
                pass
        plain = self.peer()
        plain.send(text(snapshot()), flags=zeromq.DONTWAIT)
        self.addCleanup(plain.close)
        for _ in range(2):  # all of them get their three seconds
            self.good_peer_is_heard(keys=self.pair("io-activity"))
        plain.close()
        self.all_are_honest()

    def all_are_honest(self):
        self.assertEqual({p["identity"] for p in self.processes()}, {"honest"})
        self.assertNotIn("bad_frames_total", self.page())

    def test_unknown_key(self):
        secret, public = zeromq.curve_keypair()
        stranger = self.peer(keys=(secret, public, self.server_key()))
        stranger.send(text(snapshot()), flags=zeromq.DONTWAIT)
        wait_for(lambda: self.value("flotilla_fleet_peers_refused_total") >= 1, "the stranger is refused")
        line = self.supervisor.said("peer.refused")
        self.assertIn("key", line)
        self.assertNotIn(secret, line)
        stranger.close()
        self.all_is_well()

    def test_silent_connections(self):
        peers = [self.tcp() for _ in range(500)]
        self.good_peer_is_heard(keys=self.pair("io-activity"))
        deadline = time.monotonic() + 60
        for peer in peers:  # each is hung up on
            peer.settimeout(max(1, deadline - time.monotonic()))
            while peer.recv(4096):
                pass
            peer.close()
        wait_for(lambda: self.descriptors() <= self.before[0] + 3, "the descriptors are back")

    def test_removed_key_is_put_out(self):
        peer, boot = self.good_peer_is_heard(keys=self.pair("workflow"))
        other, other_boot = self.good_peer_is_heard(keys=self.pair("io-activity"))
        os.unlink(self.keys / "allowed/workflow.public")
        self.supervisor.child.send_signal(signal.SIGHUP)
        self.supervisor.said("keys.reloaded")
        wait_for(lambda: not self.by_boot(boot), "its process is forgotten")
        peer.send(text(snapshot(boot, seq=2)))
        wait_for(lambda: self.bad("key") == 1, "its frames are dropped")
        other.send(text(snapshot(other_boot, seq=2, identity="honest", done=7)))
        wait_for(lambda: self.by_boot(other_boot)["done"] == 7, "the other one reports on")


class Plain(SupervisorTest):
    def setUp(self):
        super().setUp()
        self.start("tcp://127.0.0.1:*", **{"supervisor.insecure": "true"})
        self.port = int(self.endpoint.rsplit(":", 1)[1])
        self.before = self.resident_kb()

    def test_old_peers(self):
        """Without keys libzmq lets peers of ZMTP 1 and 2 in; the hub does not hear them."""
        frame = text(snapshot(identity="old"))
        for greeting, header in ((GREETING_V1, b"\xff" + struct.pack(">Q", len(frame) + 1) + b"\x00"),
                                 (GREETING_V2, b"\x02" + struct.pack(">Q", len(frame)))):
            peer = self.tcp()
            self.addCleanup(peer.close)
            peer.sendall(greeting + header + frame)
        self.good_peer_is_heard()
        wait_for(lambda: self.bad("peer") >= 1, "an old peer's frame is refused")
        self.assertEqual({p["identity"] for p in self.processes()}, {"honest"})

    def test_giant_lengths(self):
        for length in (8 << 30, (1 << 64) - 1, 1 << 63):
            peer = self.tcp()
            peer.sendall(GREETING_NULL + READY + b"\x02" + struct.pack(">Q", length) + b"x" * 1000)
            peer.settimeout(20)
            try:
                while peer.recv(4096):
                    pass
            except ConnectionError:
                pass
            peer.close()
        self.good_peer_is_heard()
        self.assertLess(self.resident_kb(), self.before + GROWTH_KB)

    def test_many_frames_in_one_message(self):
        peer, boot = self.good_peer_is_heard()
        peer.send(*[b"x"] * 20000)
        peer.send(text(snapshot(boot, seq=2, identity="honest", done=5)))
        wait_for(lambda: self.by_boot(boot)["done"] == 5, "the next message is heard")
        self.assertEqual(self.bad("parts"), 1)

    def test_bad_frames(self):
        cases = [
            ("version", text(snapshot(v=2))), ("version", b"{}"), ("parts", None), ("size", b""),
            ("size", b" " * 65536 + text(snapshot())), ("json", b"\x00\x01"), ("json", b'{"v":1,"role":"\xff"}'),
            ("json", b"[" * 60000), ("role", text(snapshot(role="king"))), ("role", text(snapshot(role="r" * 10000))),
            ("type", text(snapshot(type="hello"))), ("field", text(snapshot(boot="short"))),
            ("field", text(snapshot(identity="i" * 300))), ("json", text(snapshot(identity="a\0b"))),
            ("field", text(snapshot(done=-1))), ("json", text(snapshot(done=1 << 64))),
            ("field", text(snapshot(slots=[{"kind": "x", "used": 0}]))), ("metrics", text(snapshot(metrics={}))),
            ("metrics", text(snapshot(metrics=metric(1, "bad name")))), ("metrics", text(snapshot(metrics=metric(-1)))),
            ("metrics", text(snapshot(metrics=metric(1) + metric(2)))),
            ("metrics", text(snapshot(metrics=[{"n": "x_total", "k": "c", "l": ["a"], "s": [[["1"], 1], [["1"], 2]]}]))),
            ("metrics", text(snapshot()).replace(b"3]]", b"NaN]]")),
            ("metrics", text(snapshot()).replace(b"3]]", b"1e999]]")),
            ("metrics", text(snapshot()).replace(b"3]]", b"03]]")),
            ("metrics", text(snapshot()).replace(b"3]]", b"9" * 5000 + b"]]")),
        ]
        expected = {}
        for reason, frame in cases:
            expected[reason] = expected.get(reason, 0) + 1
            peer = self.peer()
            if frame is None:
                peer.send(b"one", b"two")
            elif reason == "size" and frame:
                peer.send(frame)  # libzmq hangs up on it
                expected[reason] -= 1
            else:
                peer.send(frame)
        for reason, count in expected.items():
            wait_for(lambda r=reason, c=count: self.bad(r) >= c,
                     f"{count} frames are refused for their {reason}")
        self.assertEqual(self.processes(), [])
        self.assertNotIn("peer_total", self.page())
        self.supervisor.said("metrics.bad_frame")
        self.good_peer_is_heard()

    def test_many_ids(self):
        """One connection speaks for one process; as many connections as one likes fill a role, and no more."""
        liars = [self.peer(queue=0) for _ in range(10)]
        for i in range(100000):
            liars[i % 10].send(text(snapshot(identity=f"liar-{i}")) if i < 10 or i % 100 == 0 else b"{}")
        wait_for(lambda: self.bad("peer") > 0 and self.bad("rate") > 0, "they are refused")
        self.assertLessEqual(len(self.processes()), 10)
        peers = [self.peer() for _ in range(1100)]
        for i, peer in enumerate(peers):
            peer.send(text(snapshot(identity=f"id-{i}")))
        wait_for(lambda: self.value("flotilla_fleet_evicted_total", role="io-activity") >= 76, "some are forgotten", 60)
        self.assertEqual(len(self.processes()), 1024)
        self.page()
        self.assertLess(self.resident_kb(), self.before + 4 * GROWTH_KB)  # 1,110 connections are open

    def test_many_series(self):
        peer, boot = self.good_peer_is_heard()
        series = [[[str(i)], 1] for i in range(5000)]
        peer.send(text(snapshot(boot, seq=2, identity="honest", metrics=[
            {"n": "few_total", "k": "c", "l": [], "s": [[[], 1]]},
            {"n": "many_total", "k": "c", "l": ["i"], "s": series}])))
        wait_for(lambda: self.value("flotilla_fleet_series_dropped_total", role="io-activity") == 5000, "they are dropped")
        self.assertNotIn("many_total", self.page())
        self.assertIn("few_total", self.page())

    def test_odd_numbers(self):
        peer, boot = self.good_peer_is_heard()
        for seq, value in enumerate((10, 5, (1 << 64) - 1, 1e300, 0.1), 2):
            peer.send(text(snapshot(boot, seq=seq, identity="honest", metrics=metric(value))))
        wait_for(lambda: f'peer_total{{role="io-activity",identity="honest"}} 0.1' in self.page(), "the last one is shown")
        self.assertEqual(self.value("flotilla_fleet_counter_resets_total", role="io-activity"), 2)

    def test_replays(self):
        peer, boot = self.good_peer_is_heard()
        for seq in (5, 5, 3, 1):
            peer.send(text(snapshot(boot, seq=seq, identity="honest", done=seq)))
        wait_for(lambda: self.bad("old") == 3, "old ones are refused")
        wait_for(lambda: self.by_boot(boot)["done"] == 5, "the new one is not")
        stranger = self.peer()
        stranger.send(text(snapshot(boot, seq=100, identity="honest", done=100)))
        wait_for(lambda: self.bad("peer") == 1, "another connection does not speak for it")
        self.assertEqual(self.by_boot(boot)["done"], 5)

    def test_one_identity_twice(self):
        (_, a), (_, b) = self.good_peer_is_heard(), self.good_peer_is_heard()
        self.assertTrue(all(self.by_boot(boot)["duplicate_identity"] for boot in (a, b)))
        self.supervisor.said("fleet.duplicate_identity")
        page = self.page()
        self.assertIn(f'identity="{a}"', page)
        self.assertIn(f'identity="{b}"', page)

    def test_commands_go_down_only(self):
        peer, boot = self.good_peer_is_heard()
        _, victim = self.good_peer_is_heard()
        peer.send(text({"v": 1, "type": "command", "boot": victim, "id": 1, "command": "drain", "args": {}}))
        wait_for(lambda: self.bad("control") == 1, "the command is refused")
        self.supervisor.said("control.denied")
        self.assertEqual(self.by_boot(victim)["state"], "running")
        peer.send(text({"v": 1, "type": "ack", "boot": boot, "id": 77, "ok": True, "message": ""}))  # to nothing
        peer.send(text(snapshot(boot, seq=2, identity="honest", done=1)))
        wait_for(lambda: self.by_boot(boot)["done"] == 1, "it reports on")


class Local(SupervisorTest):
    def test_socket_is_its_owners(self):
        self.start()
        path = self.endpoint.removeprefix("ipc://")
        self.assertEqual(mode(path), 0o600)
        self.assertEqual(mode(os.path.dirname(path)), 0o700)
        self.good_peer_is_heard()

    def test_vanished_and_stopped(self):
        self.start()
        vanished, boot = self.good_peer_is_heard()
        stopped, other = self.good_peer_is_heard()
        vanished.close()
        stopped.send(text(snapshot(other, seq=2, identity="honest", state="stopped")))
        self.heard(other, "stopped")
        self.assertIn("connection closed", self.heard(boot, "lost")["reason"])
        self.supervisor.said("process.lost")


if __name__ == "__main__":
    unittest.main()
