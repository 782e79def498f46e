"""An engine under load, for as long as LCKV_STRESS_SECONDS says: no answer is lost or wrong, and nothing leaks.

LCKV_STRESS_SECONDS=600 python3 -m unittest discover -s bindings/python/tests -p test_engine_stress.py
"""

import asyncio
import collections
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

from support import MODEL, model, numpy
from test_engine import STORY, alone, answer

import lckv

ENDS = ("answered", "cancelled", "left", "in time", "timed out")
SECONDS = float(os.environ.get("LCKV_STRESS_SECONDS", "0"))
PROMPTS = ["Once upon a time", STORY, STORY * 2 + "One day", "Tom and Mia", STORY * 3, "The old tree"]
KINDS = [
    {"max_tokens": 24},
    {"max_tokens": 30, "temperature": 0.9, "seed": 5},
    {"max_tokens": 60, "stop": [".", "!"]},
    {"max_tokens": 16, "temperature": 1.0, "seed": 9, "frequency_penalty": 0.4},
    {"max_tokens": 150, "ignore_end": True},
]


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Load:
    """Threads and tasks that ask an engine for answers, look at them, and count."""

    N_THREADS, N_TASKS = 8, 16

    def __init__(self, engine, end):
        self.engine, self.end = engine, end
        self.expected = {}
        for i, prompt in enumerate(PROMPTS):
            for j, kind in enumerate(KINDS):
                self.expected[i, j] = alone(model(), prompt, **kind)
        self.counts = collections.Counter()
        self.problems = []
        self.lock = threading.Lock()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def ask(self, chosen):
        """A request, and what is right for it."""

        i, j = chosen.randrange(len(PROMPTS)), chosen.randrange(len(KINDS))
        more = {"logprobs": 2} if numpy is not None and chosen.random() < 0.1 else {}
        job = self.engine.submit(PROMPTS[i], **KINDS[j], **more)
        self.count("asked")
        return job, self.expected[i, j]

    def compare(self, found, right):
        self.count("answered")
        if found != right:
            self.problems.append((found, right))

    def work(self, seed):
        chosen = random.Random(seed)
        try:
            while time.monotonic() < self.end:
                try:
                    self.turn(chosen)
                except lckv.EngineFull:
                    self.count("refused")
                    time.sleep(0.02)
        except BaseException as error:
            self.problems.append(error)
            raise

    def turn(self, chosen):
        way = chosen.random()
        if way < 0.05 and numpy is not None:
            vectors = self.engine.embed([PROMPTS[0], PROMPTS[1]])
            self.problems.extend([] if numpy.allclose((vectors**2).sum(axis=1), 1.0) else [vectors])
            return
        if way < 0.1:
            results = self.engine.submit(STORY, n=3, temperature=1.0, seed=1, max_tokens=8).result(120)
            self.problems.extend([] if len(results.choices) == 3 else [results])
            return
        job, right = self.ask(chosen)
        if way < 0.25:
            time.sleep(chosen.random() * 0.05)
            job.cancel()
            reason = job.result(120).choices[0].reason
            self.count("cancelled")
            self.problems.extend([] if reason in ("cancelled", right[2]) else [reason])
        elif way < 0.35:
            for _ in job:
                break  # leaving cancels
            self.count("left")
        elif way < 0.65:
            text = "".join(event.text for event in job)
            self.compare(text, right[0])
        else:
            self.compare(answer(job.result(120).choices[0]), right)

    async def task(self, seed):
        chosen = random.Random(seed)
        while time.monotonic() < self.end:
            i, j = chosen.randrange(len(PROMPTS)), chosen.randrange(len(KINDS))
            try:
                job = self.engine.submit(PROMPTS[i], **KINDS[j])
            except lckv.EngineFull:
                await asyncio.sleep(0.02)
                continue
            self.count("asked")
            if chosen.random() < 0.2:
                try:
                    await asyncio.wait_for(job.aresult(), chosen.random() * 0.1)
                    self.count("in time")
                except asyncio.TimeoutError:
                    self.count("timed out")
            else:
                text = "".join([event.text async for event in job])
                self.compare(text, self.expected[i, j][0])

    async def tasks(self):
        await asyncio.gather(*(self.task(100 + i) for i in range(self.N_TASKS)))

    def run(self):
        threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(self.N_THREADS)]
        threads.append(threading.Thread(target=lambda: asyncio.run(self.tasks()), daemon=True))
        for thread in threads:
            thread.start()
        sizes = []
        while time.monotonic() < self.end:
            time.sleep(1.0)
            self.engine.metrics(), self.engine.sessions()
            sizes.append(resident_bytes())
        for thread in threads:
            thread.join(120)
            self.problems.extend(["a thread does not end"] if thread.is_alive() else [])
        return sizes


def loaded_engine():
    return lckv.Engine(model(), n_tokens=640, page_positions=16, max_sessions=12, max_queue=6)


@unittest.skipUnless(SECONDS, "no LCKV_STRESS_SECONDS")
class Stress(unittest.TestCase):
    def test_load(self):
        with loaded_engine() as engine:
            load = Load(engine, time.monotonic() + SECONDS)
            sizes = load.run()
            self.assertEqual(load.problems[:3], [])
            engine.close()
            figures = engine.metrics()
        print(f"\n{dict(load.counts)}\n{figures}")
        counts = load.counts
        self.assertEqual(counts["asked"], sum(counts[what] for what in ENDS))
        self.assertEqual(figures.sessions, 0)
        self.assertEqual(figures.requests_failed, 0)
        self.assertEqual((figures.requests_running, figures.requests_waiting), (0, 0))
        self.assertGreater(figures.preemptions, 0)
        self.assertGreater(figures.reused_tokens, 0)
        third = len(sizes) // 3
        print(f"resident: {sizes[third] >> 20} MiB after a third of the time, {sizes[-1] >> 20} MiB at the end")
        self.assertLess(sizes[-1], sizes[third] + (16 << 20))
        del load, engine
        gc.collect()
        jobs = sum(isinstance(thing, lckv.Job) for thing in gc.get_objects())
        self.assertEqual(jobs, 0)

    def test_ctrl_c_under_load(self):
        code = (
            "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from test_engine_stress import Load, loaded_engine\n"
            "with loaded_engine() as engine:\n"
            "    load = Load(engine, time.monotonic() + 60); print('going', flush=True); load.run()"
        )
        here = os.path.dirname(os.path.abspath(__file__))
        environment = {**os.environ, "LCKV_TEST_MODEL": os.fspath(MODEL)}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=here,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(process.stdout.readline(), "going\n")
        time.sleep(3.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - began, 3.0)
        self.assertIn("KeyboardInterrupt", errors)
        self.assertNotIn("Segmentation", errors)


if __name__ == "__main__":
    unittest.main()
