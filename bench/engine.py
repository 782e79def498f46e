#!/usr/bin/env python3
"""What Python costs: engine.py MODEL [--sessions 32] [--lckv build/lckv].

Many requests at once, by `lckv batch` and by Engine of the Python package, which runs the same loop; and one text at a
time, by lckv_generate (Session.complete) and piece by piece (Session.generate, and Engine with one request). All
compute the same tokens at temperature 0; the two of a pair take turns, and medians are compared. With --stream, a
thread for each request reads its events, as a server does.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bindings/python"))
os.environ.setdefault("LCKV_LIBRARY", str(ROOT / "build/liblckv.so"))

import lckv  # noqa: E402


def prompts(model, n, length):
    """Prompts of random tokens: what they are does not matter for the time."""

    chosen = random.Random(1)
    most = min(model.info.n_vocab, 30000)
    return [[chosen.randrange(300, most) for _ in range(length)] for _ in range(n)]


class Batch:
    """`lckv batch`."""

    def __init__(self, options, rows):
        self.options = options
        self.folder = tempfile.TemporaryDirectory()
        self.input = os.path.join(self.folder.name, "prompts.jsonl")
        self.output = os.path.join(self.folder.name, "answers.jsonl")
        with open(self.input, "w") as file:
            for row in rows:
                file.write(json.dumps({"tokens": row}) + "\n")

    def run(self):
        o = self.options
        if os.path.exists(self.output):
            os.remove(self.output)
        command = [o.lckv, "batch", o.model, "-f", self.input, "-o", self.output, "-n", str(o.tokens), "--ignore-eos"]
        command += ["-s", str(o.sessions), "-m", o.memory, "--json", *(["-t", str(o.threads)] if o.threads else [])]
        summary = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return summary["tokens_per_second"]


class Engine:
    """The same with Engine."""

    def __init__(self, options, rows, model):
        self.options, self.rows, self.model = options, rows, model

    def run(self):
        o = self.options
        sizes = {"max_sessions": o.sessions, "n_threads": o.threads, "reuse": False}
        with lckv.Engine(self.model, o.memory, prefill_rows=o.rows, **sizes) as engine:
            began = time.perf_counter()
            jobs = [engine.submit(row, max_tokens=o.tokens, ignore_end=True) for row in self.rows]
            if o.stream:
                readers = [threading.Thread(target=lambda job=job: [event.text for event in job]) for job in jobs]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
            n = sum(job.result().n_generated for job in jobs)
            seconds = time.perf_counter() - began
            self.share = engine.metrics().step_seconds / seconds
        return n / seconds


def one_text(options, model, row, how):
    """Seconds a token of one text."""

    session = lckv.Cache(model, n_tokens=4096, n_threads=options.threads, reuse=False).session()
    if how == "complete":
        made = session.complete(row, max_tokens=options.tokens, ignore_end=True, prefill="exact")
        return made.decode_seconds / (made.n_generated - 1), made.tokens  # the last one is not appended
    if how == "generate":
        tokens, began = [], 0.0
        for piece in session.generate(row, max_tokens=options.tokens, ignore_end=True, prefill="exact"):
            began = began or time.perf_counter()
            if piece.token is not None:
                tokens.append(piece.token)
        return (time.perf_counter() - began) / (len(tokens) - 1), tokens
    with lckv.Engine(model, n_tokens=4096, n_threads=options.threads, reuse=False) as engine:
        tokens, began = [], 0.0
        for event in engine.submit(row, max_tokens=options.tokens, ignore_end=True):
            began = began or time.perf_counter()
            tokens.append(event.token)
        return (time.perf_counter() - began) / (len(tokens) - 1), tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--lckv", default=str(ROOT / "build/lckv"))
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rows", type=int, default=192, help="prefill_rows of the engine")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    lckv.request_tiles()  # as lckv does
    model = lckv.Model(options.model)
    rows = prompts(model, options.requests, options.prompt)
    batch, engine = Batch(options, rows), Engine(options, rows, model)
    pairs = [(batch.run(), engine.run()) for _ in range(options.rounds)]
    of_batch, of_engine = (statistics.median(column) for column in zip(*pairs))
    print(f"{options.sessions} sessions: lckv batch {of_batch:.1f} tokens/s, Engine {of_engine:.1f}")
    print(f"Engine / batch {of_engine / of_batch:.3f}; {engine.share:.1%} of the Engine's time is in lckv_evaluate")
    ways = ("complete", "generate", "engine")
    found = [[one_text(options, model, rows[0], how) for how in ways] for _ in range(options.rounds)]
    assert len({tuple(tokens) for row in found for _, tokens in row}) == 1, "the texts differ"
    c, generate, one = (1e3 * statistics.median(seconds for seconds, _ in column) for column in zip(*found))
    print(
        f"one text: lckv_generate {c:.3f} ms a token; Session.generate {generate:.3f} ({generate / c - 1:+.1%}); ",
        end="",
    )
    print(f"Engine {one:.3f} ({one / c - 1:+.1%})")


if __name__ == "__main__":
    main()
