"""Clients that are slow, broken or hostile: none of them blocks, ends or fills the server."""

import contextlib
import gc
import http.client
import json
import os
import socket
import sys
import threading
import time
import unittest
from unittest import mock

from server_support import FakeEngine, Running, chat_model, engine, needs_server
from support import PROMPT, needs_llguidance

with contextlib.suppress(ImportError):
    from lckv.server._fields import parse
    from lckv.server._serving import Patience, n_taken
    from lckv.server._settings import Limits

QUICK = {"head_seconds": 1.0, "body_seconds": 1.0, "stall_seconds": 1.5, "body_bytes": 1 << 20}
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"


def request(body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    rows = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return HEAD + f"Content-Length: {len(data)}\r\n{rows}\r\n".encode() + data


class Slow:
    """A connection whose client takes `taken` bytes while more and more is unsent."""

    cycle = None

    def __init__(self):
        self.transport, self.unsent, self.taken, self.cut = self, 0, 0, False

    def get_write_buffer_size(self):
        return self.unsent

    def get_extra_info(self, name):
        return self if name == "socket" else None

    def getsockopt(self, level, option, size):
        return bytes(size - 8) + self.taken.to_bytes(8, sys.byteorder)

    def abort(self):
        self.cut = True


@needs_server
class SlowClients(unittest.TestCase):
    def test_who_takes_less_than_comes_is_not_cut_off(self):
        slow, stuck, patience = Slow(), Slow(), Patience(Limits(stall_seconds=30))
        for second in range(100):
            slow.unsent += 100
            slow.taken += 1
            stuck.unsent += 100
            patience.look({slow, stuck}, float(second))
            self.assertFalse(slow.cut)
            self.assertEqual(stuck.cut, second > 30)

    def test_what_clients_have_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            client, transport = socket.create_connection(server.getsockname()), mock.Mock()
            served = transport.get_extra_info.return_value = server.accept()[0]
            self.addCleanup(client.close)
            self.addCleanup(served.close)
            before = n_taken(transport)
            served.sendall(bytes(1000))
            self.assertEqual(len(client.recv(1000, socket.MSG_WAITALL)), 1000)
            until = time.monotonic() + 5
            while n_taken(transport) < before + 1000 and time.monotonic() < until:
                time.sleep(0.01)
            self.assertEqual(n_taken(transport), before + 1000)


@needs_server
class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Running(engine(), limits=QUICK)
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def tearDown(self):
        """Whatever happened: nothing is left of it, and others are served."""

        self.assertTrue(self.server.wait_until(self.server.is_idle), self.server.engine)
        self.assertTrue(self.server.wait_until(lambda: self.server.n_connections == 0))
        self.check_served()

    def check_served(self):
        start = time.monotonic()
        answer = self.server.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 3, "temperature": 0})
        self.assertEqual(answer.json["choices"][0]["text"], ", there was")
        self.assertLess(time.monotonic() - start, 5)

    def connect(self):
        made = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.addCleanup(made.close)
        return made

    def read(self, connection):
        """What comes until the server closes the connection."""

        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 16):
                data += chunk
        return data

    def answer(self, data):
        connection = self.connect()
        with contextlib.suppress(OSError):
            connection.sendall(data)
        return self.read(connection)

    # ---- Broken ----

    def test_bad_bodies(self):
        for body, words in (
            (b"{", b"no JSON"),
            (b"\xff\xff", b"no UTF-8"),
            (b'{"prompt": "\\udc00"}', b"surrogates"),
            (b"[" * 100000, b"nested"),
            (b"", b"no JSON"),
            (b'{"prompt": 1e999}', b"prompt is"),
            (b"null", b"expected a JSON object"),
        ):
            data = self.answer(request(body, Connection="close"))
            self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)
            self.assertIn(words, data)

    def test_no_http(self):
        for data in (
            b"\x00" * 100,
            b"GET\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00" * 9,
            b"GET / HTTP/9.9\r\n\r\n",
            os.urandom(999),
        ):
            self.answer(data + b"\r\n\r\n")

    def test_endless_heads(self):
        data = self.answer(HEAD + b"X: " + b"a" * (1 << 20))
        self.assertTrue(data == b"" or data.startswith(b"HTTP/1.1 4"), data[:100])
        self.answer(HEAD + b"".join(b"X%d: y\r\n" % i for i in range(100000)))

    def test_lengths_that_are_not_so(self):
        for head in (b"Content-Length: -1\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: x\r\n",
                     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Transfer-Encoding: gzip\r\n"):  # fmt: skip
            self.answer(HEAD + head + b"\r\n")

    def test_huge_bodies(self):
        start = time.monotonic()
        data = self.answer(HEAD + b"Content-Length: 1073741824\r\n\r\n" + b"{" * 1000)
        self.assertTrue(data.startswith(b"HTTP/1.1 413 "), data)
        self.assertLess(time.monotonic() - start, 1)
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        data = self.answer(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 20 * chunk)
        self.assertTrue(data.startswith(b"HTTP/1.1 413 ") or data == b"", data[:200])

    def test_large_bodies_are_refused_in_words(self):
        answer = self.server.post("/v1/completions", {"prompt": "a" * (3 << 20)})
        self.assertEqual((answer.status, answer.headers["connection"]), (413, "close"))
        self.assertIn("more than 1048576 bytes", answer.json["error"]["message"])

    # ---- Slow ----

    def test_heads_that_do_not_come(self):
        clients = [self.connect() for _ in range(200)]
        for i, client in enumerate(clients):
            client.sendall(HEAD[: i % len(HEAD)])
        self.check_served()
        start = time.monotonic()
        while time.monotonic() - start < 1.2:  # a byte now and then does not help
            for client in clients[::7]:
                with contextlib.suppress(OSError):
                    client.sendall(b"X")
            time.sleep(0.2)
        for client in clients:
            self.read(client)
        self.assertLess(time.monotonic() - start, 6)

    def test_clients_that_come_again_are_not_slow(self):
        """Short requests on one connection, which is idle whenever somebody looks, but never for long."""

        client = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        self.addCleanup(client.close)
        client.connect()
        connection, start = client.sock, time.monotonic()
        while time.monotonic() - start < 2.5:
            client.request("GET", "/health")
            self.assertEqual(client.getresponse().read(), b'{"status":"ok"}')
            time.sleep(0.05)
        self.assertIs(client.sock, connection)
        client.close()

    def test_bodies_that_do_not_come(self):
        clients = [self.connect() for _ in range(50)]
        for client in clients:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        self.check_served()
        start = time.monotonic()
        for client in clients:
            data = self.read(client)
            self.assertTrue(data.startswith(b"HTTP/1.1 408 "), data)
            self.assertIn(b"within 1 seconds", data)
        self.assertLess(time.monotonic() - start, 5)

    def test_answers_that_nobody_takes(self):
        """A client that reads nothing is cut off as soon as nothing more goes into its connection."""

        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.server.port))
        client.sendall(3000 * b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n")  # more than buffers can hold
        self.assertTrue(self.server.wait_until(lambda: self.server.n_connections == 1))
        start = time.monotonic()
        self.check_served()
        self.assertTrue(self.server.wait_until(lambda: self.server.n_connections == 0, 60), "it holds its connection")
        self.assertGreater(time.monotonic() - start, 1)

    # ---- Gone ----

    @needs_llguidance
    def test_patterns_that_need_too_much_work(self):
        beside = self.server.engine.submit(PROMPT, max_tokens=100)
        schema = {"type": "string", "pattern": "(.*[ab].{60}.*){3}"}
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        body = {"prompt": PROMPT, "n": 16, "max_tokens": 4000, "seed": 1, "response_format": form}
        for _ in range(2):
            answer = self.server.post("/v1/completions", body)
            self.assertEqual(answer.status, 400)
            self.assertIn("the schema needs too much work", answer.json["error"]["message"])
        self.assertEqual(beside.result(20).n_generated, 100)

    def test_clients_that_go_away(self):
        """Whatever a client does not wait for is not computed further."""

        long = {"prompt": PROMPT, "max_tokens": 4000, "ignore_eos": True, "n": 2}
        for stream in (False, True):
            for ends in (socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR)):
                clients = [self.connect() for _ in range(4)]
                for client in clients:
                    client.sendall(request({**long, "stream": stream}))
                self.assertTrue(self.server.wait_until(lambda: not self.server.is_idle()))
                if stream:
                    self.assertTrue(clients[0].recv(100))
                before = self.server.engine.metrics().requests_cancelled
                for client in clients:
                    ends(client)
                self.assertTrue(self.server.wait_until(self.server.is_idle, 5))
                self.assertEqual(self.server.engine.metrics().requests_cancelled - before, 4)

    def test_embeddings_that_nobody_waits_for(self):
        data = json.dumps({"input": 250 * ["a long text " * 150]}).encode()
        head = HEAD.replace(b"completions", b"embeddings")
        client = self.connect()
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self.assertTrue(self.server.wait_until(lambda: not self.server.is_idle()))
        client.close()
        self.assertTrue(self.server.wait_until(self.server.is_idle, 8))

    def test_clients_that_reset(self):
        client = self.connect()
        client.sendall(request({"prompt": PROMPT, "max_tokens": 4000, "ignore_eos": True, "stream": True}))
        self.assertTrue(client.recv(100))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

    def test_half_of_a_body(self):
        client = self.connect()
        client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read(client), b"")

    # ---- Many ----

    def test_requests_on_one_connection(self):
        one = request({"prompt": PROMPT, "max_tokens": 3, "temperature": 0})
        last = request({"prompt": PROMPT, "max_tokens": 3, "temperature": 0}, Connection="close")
        data = self.answer(30 * one + last)
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), 31)
        self.assertEqual(data.count(b'"text":", there was"'), 31)

    def test_too_many_connections(self):
        limits = {**QUICK, "connections": 20, "head_seconds": 60.0}
        with Running(FakeEngine(chat_model()), limits=limits) as server:
            clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
            try:
                self.assertTrue(server.wait_until(lambda: sum(map(self.is_closed, clients)) == 30))
                self.assertEqual(server.n_connections, 20)
                self.assertEqual(server.get("/health").status, 200)
            finally:
                for client in clients:
                    client.close()

    def test_it_is_told_if_nobody_looks_after_them(self):
        with mock.patch("lckv.server._serving.Patience.look", side_effect=AttributeError("cycle")):
            with self.assertLogs("lckv.server", "ERROR") as logs, Running(FakeEngine(chat_model())) as server:
                self.assertTrue(server.wait_until(lambda: logs.output))
        self.assertIn("slow clients are not cut off", logs.output[0])

    def test_many_large_bodies(self):
        limits = {**QUICK, "all_bodies_bytes": 3 << 20, "body_seconds": 10.0}
        with Running(FakeEngine(chat_model()), limits=limits) as server:
            clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
            try:
                for client in clients:
                    client.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * 900000)
                clients[-1].settimeout(5)
                first = b"".join(self.first(client) for client in clients)
                self.assertIn(b"HTTP/1.1 429 ", first)
                self.assertIn(b"etry-", first)
            finally:
                for client in clients:
                    client.close()
            self.assertTrue(server.wait_until(lambda: server.post("/tokenize", {"prompt": "a"}).status == 200))

    def test_small_bodies_are_always_read(self):
        limits = {**QUICK, "all_bodies_bytes": 1000010, "body_seconds": 10.0}
        with Running(FakeEngine(chat_model()), limits=limits) as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(client.close)
            client.sendall(HEAD + b"Content-Length: 1000001\r\n\r\n" + b" " * 1000000)
            bodies = server.app.state.service.bodies
            self.assertTrue(server.wait_until(lambda: bodies._held == 1000000))
            self.assertEqual(server.post("/v1/completions", {"prompt": PROMPT}).status, 200)
            self.assertEqual(server.post("/v1/completions", {"prompt": PROMPT, "user": 100000 * "x"}).status, 429)
            client.close()
        self.assertEqual(bodies._held, 0)

    def test_large_bodies_are_understood_beside(self):
        """While somebody else is served: not in the thread of the event loop."""

        threads = []

        def look(body):
            threads.append(threading.current_thread().name)
            return parse(body)

        with mock.patch("lckv.server._answers.parse", look):
            for path in ("completions", "chat/completions", "messages", "messages/count_tokens", "embeddings"):
                self.server.post(f"/v1/{path}", {"messages": [], "prompt": 3, "input": 3, "max_tokens": 1})
            for path in ("tokenize", "detokenize"):
                self.server.post(f"/{path}", {"prompt": "a", "tokens": []})
        self.assertEqual({name[:11] for name in threads}, {"lckv-server"})
        self.assertEqual(len(threads), 7)

    def test_what_waits_keeps_nothing_of_its_body(self):
        """It may have many times the size of the body: here 20 times."""

        data = b'{"prompt": "a", "max_tokens": 4, "stream": %s, "x": [' + 300000 * b"[]," + b"[]]}"
        with Running(engine(max_sessions=1)) as server:
            running = server.engine.submit(PROMPT, max_tokens=None, ignore_end=True)
            events = iter(running)
            next(events)
            clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(6)]
            try:
                gc.collect()
                before = len(gc.get_objects())
                for i, client in enumerate(clients):
                    client.sendall(request(data % (b"true" if i % 2 else b"false")))
                self.assertTrue(server.wait_until(lambda: server.engine.metrics().requests_waiting == 6))
                gc.collect()
                self.assertLess(len(gc.get_objects()) - before, 300000)
                events.close()
                for client in clients:
                    self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
            finally:
                events.close()
                for client in clients:
                    client.close()

    def is_closed(self, client):
        try:
            return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def first(self, client):
        """What comes first, if it comes soon."""

        client.settimeout(0.5)
        try:
            return client.recv(300)
        except socket.timeout:
            return b""


if __name__ == "__main__":
    unittest.main()
