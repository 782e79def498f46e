"""lckv-server as a program: its options, its end, and its page in a browser."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from unittest import mock

from server_support import CHAT_TEMPLATE, needs_server
from support import MODEL, PROMPT, needs_jinja

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@needs_server
class Command(unittest.TestCase):
    def start(self, *options, program=("-m", "lckv.server"), **environment):
        command = [sys.executable, *program, str(MODEL), "--port", "0", "--memory", "64MiB", *options]
        made = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # where a shell ignores it
        )
        self.addCleanup(self.stop, made)
        line = made.stdout.readline()
        found = re.fullmatch(r"lckv-server: (\S+) at (http://\S+)\n", line)
        self.assertTrue(found, line or made.stderr.read())
        self.name, self.url = found[1], found[2]
        return made

    def stop(self, process):
        process.kill()
        process.communicate()

    def ask(self, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60)

    def fails(self, *arguments):
        made = subprocess.run(
            [sys.executable, "-m", "lckv.server", *arguments], capture_output=True, text=True, timeout=60
        )
        self.assertNotEqual(made.returncode, 0)
        self.assertNotIn("Traceback", made.stderr)
        return made.stderr

    def test_it_ends_when_answers_are_finished(self):
        for sign, code in ((signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)):
            process = self.start()
            self.assertEqual(self.name, MODEL.name.replace(".gguf", ""))
            body = {"prompt": PROMPT, "max_tokens": 300, "ignore_eos": True, "stream": True}
            body["stream_options"] = {"include_usage": True}
            with self.ask("/v1/completions", body) as answer:
                first = answer.readline()
                process.send_signal(sign)
                rows = first + answer.read()
            self.assertTrue(rows.endswith(b"data: [DONE]\n\n"))
            self.assertIn(b'"completion_tokens":300', rows)
            self.assertEqual(process.wait(20), code)
            self.assertEqual(process.stderr.read(), "")

    def test_it_ends_at_once_when_it_is_told_twice(self):
        process = self.start()
        body = {"prompt": PROMPT, "max_tokens": 4000, "ignore_eos": True, "stream": True, "n": 8}
        with self.ask("/v1/completions", body) as answer:
            answer.readline()
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            process.wait(20)
        self.assertLess(time.monotonic() - start, 3)

    def test_it_ends_when_its_engine_has_failed(self):
        """Whoever waits is told, and the status tells a supervisor to start it again."""

        defect = "import sys; from lckv import _filling; _filling.Filling.fill = None"
        code = f"{defect}; from lckv.server.__main__ import main; sys.exit(main())"
        process = self.start(program=("-c", code))
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.ask("/v1/completions", {"prompt": PROMPT})
        with caught.exception as answer:
            self.assertEqual((answer.code, json.load(answer)["error"]["code"]), (500, "failed"))
        self.assertEqual(process.wait(20), 1)
        self.assertIn("lckv-server: the engine has failed: TypeError", process.stderr.read())

    def test_idle_connections_do_not_hold_it(self):
        process = self.start()
        host, _, port = self.url[7:].rpartition(":")
        with socket.create_connection((host, int(port))) as idle, socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n")
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", idle.recv(1000))
            process.terminate()
            process.wait(5)

    @needs_jinja
    def test_options(self):
        with tempfile.TemporaryDirectory() as folder:
            template, key = pathlib.Path(folder, "chat.jinja"), pathlib.Path(folder, "key")
            template.write_text(CHAT_TEMPLATE)
            key.write_text("k1\n")
            options = ["--chat-template", str(template), "--api-key-file", str(key), "--name", "a", "--name", "b"]
            self.start(*options, "--max-tokens", "5", "--log")
        self.assertEqual(self.name, "a")
        headers = {"Authorization": "Bearer k1"}
        body = {"model": "b", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}
        with self.ask("/v1/chat/completions", body, **headers) as answer:
            self.assertEqual(json.load(answer)["usage"]["completion_tokens"], 5)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.ask("/v1/models")
        self.assertEqual(caught.exception.code, 401)
        caught.exception.close()
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.ask("/health", Host="evil.example")
        self.assertEqual(caught.exception.code, 403)
        caught.exception.close()

    def test_it_warns_of_being_open(self):
        for options, is_open in (
            ([], False),
            (["--host", "0.0.0.0"], True),
            (["--host", "0.0.0.0", "--allow-host", "a"], False),
        ):
            process = self.start(*options)
            process.send_signal(signal.SIGTERM)
            self.assertEqual("whoever reaches this address may use it" in process.communicate(timeout=60)[1], is_open)

    def test_what_it_cannot_do(self):
        for words, arguments in (
            ("lckv-server: ", ["nowhere.gguf", "--port", "0"]),
            ("No such file", [str(MODEL), "--port", "0", "--chat-template", "nowhere"]),
            ("Permission denied|not permitted|in use|assign", [str(MODEL), "--host", "203.0.113.1", "--port", "0"]),
            ("the following arguments are required: model", []),
            ("banana", [str(MODEL), "--port", "0", "--memory", "banana"]),
        ):
            self.assertRegex(self.fails(*arguments), words)

    def test_keys(self):
        from lckv.server import __main__ as command

        with mock.patch.dict(os.environ, {"LCKV_API_KEY": "abc"}):
            self.assertEqual(command.key_of(None), "abc")
        with mock.patch.dict(os.environ, {"LCKV_API_KEY": ""}):
            self.assertRaisesRegex(ValueError, "is empty", command.key_of, None)

    def test_hosts(self):
        from lckv.server import __main__ as command

        own = ("localhost", "127.0.0.1", "::1")
        self.assertEqual(command.hosts_of("127.0.0.1", None), own)
        self.assertEqual(command.hosts_of("127.0.0.2", None), (*own, "127.0.0.2"))
        self.assertEqual(command.hosts_of("localhost", None), own)
        self.assertIsNone(command.hosts_of("0.0.0.0", None))
        self.assertIsNone(command.hosts_of("::", None))
        self.assertEqual(command.hosts_of("0.0.0.0", ["Me.example"]), (*own, "0.0.0.0", "me.example"))

    @unittest.skipUnless(CHROMIUM, "no chromium")
    def test_the_page_in_a_browser(self):
        """The page draws the cache: what it shows was put there by its script."""

        self.start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"]
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run(
                [CHROMIUM, *options, f"--user-data-dir={folder}", self.url + "/"],
                capture_output=True,
                text=True,
                timeout=90,
            )
        self.assertIn(f'<span id="model">{self.name}</span>', made.stdout)
        self.assertIn("3 of 12 have keys and values", made.stdout)
        self.assertIn("4.0 times as many", made.stdout)
        self.assertEqual(made.stdout.count('class="slot"'), 3)
        self.assertNotIn("Content Security Policy", made.stderr)


if __name__ == "__main__":
    unittest.main()
