"""What tests of the server share: a server in a thread, with a real engine or a made-up one, and plain requests."""

import asyncio
import contextlib
import functools
import http.client
import importlib.metadata
import json
import threading
import time
import unittest

import gguf_edit
from support import MODEL

import lckv


def _lacks(name, least):
    """Whether a package is not there, or older than the server needs; Debian 12 has such a uvicorn."""

    try:
        return tuple(map(int, importlib.metadata.version(name).split(".")[:2])) < (0, least)
    except importlib.metadata.PackageNotFoundError:
        return True


NEEDED = {"starlette": 36, "uvicorn": 29, "prometheus_client": 14, "numpy": 0}
MISSING = [name for name, least in NEEDED.items() if _lacks(name, least)]
needs_server = unittest.skipIf(MISSING, f"no {', '.join(MISSING)}")

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ bos_token + message['role'] + ': ' + message['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ bos_token }}{% endif %}"
)
"""The model's answers begin where its stories do."""
TOOLS_TEMPLATE = (
    "{% if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}Say <tool_call>.{% endif %}"
    "{% for message in messages %}{{ bos_token + message.role + ':' + message.content }}"
    "{% if message.tool_calls %}{% for call in message.tool_calls %}<tool_call>{{ call.function | tojson }}</tool_call>"
    "{% endfor %}{% endif %}{{ eos_token }}{% endfor %}{{ bos_token }}"
)
NAME = "stories"


@functools.lru_cache(maxsize=None)
def chat_model(template=CHAT_TEMPLATE):
    return lckv.Model.from_bytes(gguf_edit.with_metadata(MODEL.read_bytes(), {"tokenizer.chat_template": template}))


def engine(model=None, **options):
    options.setdefault("n_tokens", 8192)
    options.setdefault("max_sessions", 16)
    return lckv.Engine(model or chat_model(), **options)


class Answer:
    """A response, read to its end."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def events(self):
        """The data of server-sent events, without the [DONE] of OpenAI."""

        rows = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(row) for row in rows if row != "[DONE]"]


class Running:
    """A server that runs in a thread until the end of a with."""

    def __init__(self, engine, **options):
        from lckv import server

        limits = server.Limits(**options.pop("limits", {}))
        settings = server.Settings(names=(NAME, "other"), limits=limits, **options)
        self.engine = engine
        self.app = server.application(engine, settings)
        self._server = server.server(self.app, limits, log_level="critical")
        self._socket = server.listen("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[self._socket]))

    def __enter__(self):
        self._thread.start()
        end = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < end and self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.end()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server did not end"
        self._socket.close()

    def end(self):
        self._server.should_exit = True

    @property
    def n_connections(self):
        return len(self._server.server_state.connections)

    # ---- Asking ----

    def send(self, method, path, body=None, **headers):
        """A request, whose response is given as it comes."""

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers)
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, **headers):
        connection, response = self.send(method, path, body, **headers)
        with contextlib.closing(connection):
            return Answer(response)

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def wait_until(self, is_so, seconds=15):
        """Waits until something is so, and tells whether it has come to be."""

        end = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def is_idle(self):
        found = self.engine.metrics()
        return found.requests_running == 0 and found.requests_waiting == 0


# ---- An engine that says what it is told to ----


class FakeJob:
    """Gives the texts of its choices, token by token. A text that is an exception ends its choice by it."""

    def __init__(self, model, prompt, texts, seconds):
        self.n_prompt, self.n_reused, self.n_generated = len(prompt), 0, 0
        self.is_cancelled = False
        self._seconds = seconds
        self._error = next((text for text in texts if isinstance(text, Exception)), None)
        self._events, self._choices = [], []
        for i, text in enumerate(texts):
            if isinstance(text, Exception):
                self._events.append(lckv.Event(i, "", None, None, (), "error"))
                continue
            tokens = model.tokenize(text, bos=False)
            pieces = [model.detokenize([token], continues=True) for token in tokens]
            assert "".join(pieces) == text, pieces
            self._events += [lckv.Event(i, *pair, None, (), None) for pair in zip(pieces, tokens)]
            self._events.append(lckv.Event(i, "", model.eos, None, (), "end"))
            self._choices.append(lckv.Choice(i, text, [*tokens, model.eos], "end", None, None))
            self.n_generated += len(tokens) + 1
        self.done = False

    def cancel(self):
        self.is_cancelled = True

    async def __aiter__(self):
        for event in self._events:
            await asyncio.sleep(self._seconds)
            yield event
        self.done = True

    async def aresult(self):
        if not self.done:
            await asyncio.sleep(self._seconds * len(self._events))
        self.done = True
        if self._error is not None:
            raise self._error
        return lckv.JobResult(self._choices, self.n_prompt, 0, self.n_generated, 0.0, 0.0)


class FakeEngine:
    """Answers with the texts of `says`, one for each choice, or raises what it is."""

    max_tokens = 4096

    def __init__(self, model, says="", seconds=0.0):
        self.model, self.says, self.seconds = model, says, seconds
        self.jobs, self.asked, self.closed, self.failure = [], [], False, None

    def submit(self, prompt, n=1, **options):
        self.asked.append((prompt, {"n": n, **options}))
        if isinstance(self.says, lckv.EngineFull):
            raise self.says
        self.jobs.append(FakeJob(self.model, prompt, n * [self.says], self.seconds))
        return self.jobs[-1]

    def retry_after(self):
        return 2.5

    def close(self, finish=True, timeout=None):
        self.closed = True
