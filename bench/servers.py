#!/usr/bin/env python3
"""Measures lckv-server beside llama-server: many clients whose conversations begin with the same instructions.

    bench/servers.py MODEL --peer ~/llama.cpp/build/bin/llama-server
    bench/servers.py MODEL --peer llama-server --peer-arguments '-np 16 -c 32768 -kvu' --clients 16

A round starts both servers, one after the other, and lets each answer the same conversations. All clients begin at
once, each asks again as soon as it has its answer, and every answer is streamed and has the same number of tokens. The
first answers of a server compute the common instructions, too. What counts is
    tokens/s     tokens of all answers, by the time from the first request to the last answer
    first        seconds from a request to the first piece of its answer: median, and the most
    peak         MiB of memory that the server has had, with its model
A ratio is the median over the rounds: lckv's tokens/s by the peer's, and lckv's first, or peak, by the peer's.
It needs what lckv-server needs (docs/http-server.md), and for its clients only Python's standard library.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
START_SECONDS = 120
WORDS = (
    "answer always be brief kind clear exact and use plain words for each question that the user asks of you today "
    "never guess tell what you know then stop when it is done think first write short lines name sources if any"
).split()


class Server:
    """A process that serves the model."""

    def __init__(self, name, command, environment=None):
        self.name = name
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as found:
            self.port = found.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        until = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                self.end()
                sys.exit(f"servers: {name} does not answer:\n{self.log.read()[-2000:]}")
            time.sleep(0.1)

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def peak_mebibytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client(threading.Thread):
    """Asks its questions one after the other."""

    def __init__(self, options, port, conversations):
        super().__init__()
        self.options, self.port, self.conversations = options, port, conversations
        self.first, self.n_tokens, self.error = [], 0, None

    def run(self):
        try:
            for conversation in self.conversations:
                self.ask(conversation)
        except Exception as error:
            self.error = error

    def ask(self, conversation):
        asked = {"messages": conversation, "max_tokens": self.options.tokens, "temperature": 0, "ignore_eos": True}
        body = json.dumps({"model": "any", **asked, "stream": True, "stream_options": {"include_usage": True}})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        began, first, usage = time.perf_counter(), None, None
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.read()[:500]!r}")
        for line in answer:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            if first is None and any(choice["delta"].get("content") for choice in event["choices"]):
                first = time.perf_counter() - began
        connection.close()
        if first is None or usage is None:
            raise RuntimeError("an answer without text")
        self.first.append(first)
        self.n_tokens += usage["completion_tokens"]
        self.n_prompt = usage["prompt_tokens"]


def conversations_of(options, seed):
    """For each client its conversations: the same instructions, and a question of its own."""

    chosen = random.Random(seed)
    instructions = " ".join(chosen.choice(WORDS) for _ in range(options.instructions))
    return [
        [
            [
                {"role": "system", "content": instructions},
                {"role": "user", "content": " ".join(chosen.choice(WORDS) for _ in range(16))},
            ]
            for _ in range(options.questions)
        ]
        for _ in range(options.clients)
    ]


def measure(options, server, conversations):
    clients = [Client(options, server.port, own) for own in conversations]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - began
    for client in clients:
        if client.error is not None:
            server.end()
            sys.exit(f"servers: {server.name}: {client.error}")
    first = [value for client in clients for value in client.first]
    return {
        "tokens_per_second": sum(client.n_tokens for client in clients) / seconds,
        "first": statistics.median(first),
        "most_first": max(first),
        "peak": server.peak_mebibytes(),
        "n_tokens": sum(client.n_tokens for client in clients),
        "n_prompt": clients[0].n_prompt,
    }


def start(options, is_peer):
    if is_peer:
        return Server("llama-server", [options.peer, "-m", options.model, *shlex.split(options.peer_arguments)])
    library = os.environ.get("LCKV_LIBRARY", str(ROOT / "build/liblckv.so"))
    path = os.pathsep.join([str(ROOT / "bindings/python"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "lckv.server", options.model, "--name", "any", *shlex.split(options.arguments)]
    return Server("lckv-server", command, {"LCKV_LIBRARY": library, "PYTHONPATH": path})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file with a chat template")
    parser.add_argument("--peer", required=True, help="the program llama-server")
    parser.add_argument("--peer-arguments", default="-np 16 -c 32768 -kvu", help="(%(default)s)")
    parser.add_argument("--arguments", default="", help="of lckv-server")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--questions", type=int, default=2, help="of each client (2)")
    parser.add_argument("--instructions", type=int, default=480, help="words that all conversations begin with (480)")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer (64)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = {"lckv-server": [], "llama-server": []}
    for seed in range(options.rounds):
        for is_peer in (False, True) if seed % 2 == 0 else (True, False):
            server = start(options, is_peer)
            try:
                one = measure(options, server, conversations_of(options, seed))
            finally:
                server.end()
            found[server.name].append(one)
            print(
                f"round {seed + 1}: {server.name}: {one['tokens_per_second']:.1f} tokens/s, first "
                f"{one['first']:.3f} s (most {one['most_first']:.3f}), peak {one['peak']:.0f} MiB; "
                f"prompts of {one['n_prompt']} tokens, {one['n_tokens']} tokens in answers",
                flush=True,
            )
    for key in ("tokens_per_second", "first", "most_first", "peak"):
        pairs = zip(found["lckv-server"], found["llama-server"])
        print(f"{key}: lckv / peer {statistics.median(ours[key] / theirs[key] for ours, theirs in pairs):.3f}")


if __name__ == "__main__":
    main()
