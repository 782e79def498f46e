"""Engines: many requests at once, whose answers are those of each alone."""

import asyncio
import functools
import gc
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import unittest
import weakref

import gguf_edit
from support import MODEL, PROMPT, cache, model, needs_numpy, numpy

import lckv
from lckv._admission import common
from lckv._filling import FEWEST_ROWS, FIRST_ROWS, MOST_PASSES, Filling
from lckv._free_memory import byte_count
from lckv._request import await_it

WAIT = 600.0  # seconds, on a machine that has other things to do
STORY = "Once upon a time, there was a little girl named Lily. She liked to play in the garden with her dog Max. "
PLANS = {"downward": ("0_0_0_0_0_0_0_0_0_0_10_11", 0), "windowed": ("0_0_0_0_0_0_0_0_0_0_10_11s", 32)}


@functools.lru_cache(maxsize=None)
def with_plan(name):
    """The bundled model, or one of its weights with another plan."""

    if name == "upward":
        return model()
    plan, window = PLANS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        lckv.convert(MODEL, path, plan=plan, init="copy", sliding_window=window)
        return lckv.Model(path)


def engine(of=None, **options):
    if "memory" not in options:
        options.setdefault("n_tokens", 4096)
    options.setdefault("max_sessions", 16)
    options.setdefault("n_threads", 1)  # on a busy machine, several wait for each other
    return lckv.Engine(of or model(), **options)


def alone(of, prompt, stop=(), max_tokens=256, ignore_end=False, **sampling):
    """What `Engine.submit` is to give."""

    session = lckv.Cache(of, n_tokens=4096, n_threads=1).session()
    sampler = lckv.Sampler(**sampling)
    made = session.generate(
        prompt, max_tokens=max_tokens, stop=stop, ignore_end=ignore_end, sampler=sampler, prefill="exact"
    )
    made.read()
    return made.text, made.tokens, made.reason


def answer(choice):
    return choice.text, choice.tokens, choice.reason


def wait_until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass")
        time.sleep(0.002)


class Held:
    """A constraint that holds the loop of an engine until it may go on."""

    def __init__(self):
        self.has_come, self.go_on = threading.Event(), threading.Event()

    def mask(self, logits):
        self.has_come.set()
        self.go_on.wait(WAIT)

    def accept(self, token):
        pass

    def reset(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on.set()


class Answers(unittest.TestCase):
    def test_they_are_those_of_each_alone(self):
        kinds = [
            {"max_tokens": 30},
            {"max_tokens": 30, "temperature": 0.9, "seed": 7, "top_p": 0.9},
            {"max_tokens": 40, "stop": [".", " and"]},
            {"max_tokens": 25, "temperature": 1.0, "seed": 2, "top_k": 20, "repetition_penalty": 1.3},
            {"max_tokens": 12, "frequency_penalty": 0.5, "presence_penalty": 0.2, "min_p": 0.1},
            {"max_tokens": 5, "logit_bias": {model().eos: 1000.0}},
            {"max_tokens": 5, "logit_bias": {model().eos: 1000.0}, "ignore_end": True},
        ]
        prompts = [PROMPT, STORY, STORY * 3 + "Then", STORY * 3 + "Max"]
        asked = [(prompt, kind) for kind in kinds for prompt in prompts]
        random.Random(1).shuffle(asked)
        for name in ("upward", *PLANS):
            of = with_plan(name)
            expected = [alone(of, prompt, **kind) for prompt, kind in asked]
            for options in ({}, {"n_tokens": 700, "page_positions": 16, "max_sessions": 5}, {"prefill_rows": 7}):
                with self.subTest(plan=name, **options), engine(of, **options) as made:
                    jobs = [made.submit(prompt, **kind) for prompt, kind in asked]
                    for job, right in zip(jobs, expected):
                        self.assertEqual(answer(job.result(WAIT).choices[0]), right)
                    figures = made.metrics()
                    self.assertEqual(figures.requests_done, len(asked))
                    self.assertEqual(figures.generated_tokens, sum(len(right[1]) for right in expected))
                    self.assertEqual((figures.requests_running, figures.requests_waiting, figures.sessions), (0, 0, 0))
                    self.assertEqual(figures.pages_free, figures.pages_total)

    def test_prompts_in_a_window(self):
        prompts = [STORY, STORY * 2, STORY + "One day", PROMPT]
        expected = []
        for prompt in prompts:
            session = cache().session()
            made = session.generate(prompt, max_tokens=60, ignore_end=True, window=8, tolerance=0.01)
            expected.append((made.read(), made.tokens))
        for options in ({}, {"n_tokens": 250, "page_positions": 16}):
            with self.subTest(**options), engine(window=8, tolerance=0.01, **options) as made:
                jobs = [made.submit(prompt, max_tokens=60, ignore_end=True) for prompt in prompts * 2]
                for job, right in zip(jobs, expected * 2):
                    self.assertEqual(answer(job.result(WAIT).choices[0])[:2], right)
                self.assertEqual(made.metrics().reused_tokens, 0)
                self.assertEqual(made.metrics().preemptions > 0, bool(options))

    def test_events_make_up_the_result(self):
        with engine() as made:
            job = made.submit(PROMPT, max_tokens=40, stop="Molly", n=2, temperature=0.8, seed=3)
            events = list(job)
            result = job.result()
        self.assertEqual(events, list(events) + list(job))  # each comes once
        for choice in result.choices:
            own = [event for event in events if event.index == choice.index]
            self.assertEqual("".join(event.text for event in own), choice.text)
            self.assertEqual([event.token for event in own], choice.tokens)
            self.assertEqual([event.reason for event in own], [None] * (len(own) - 1) + [choice.reason])
        self.assertEqual(result.n_generated, len(events))
        self.assertEqual(result.n_prompt, len(model().prompt(PROMPT)))
        self.assertLessEqual(result.seconds_to_first, result.seconds)
        self.assertEqual(str(result), result.choices[0].text)

    def test_several_choices(self):
        for options in ({}, {"max_sessions": 2}, {"n_tokens": 160, "page_positions": 16}):
            with self.subTest(**options), engine(**options) as made:
                result = made.submit(STORY, n=5, temperature=1.0, seed=10, max_tokens=20).result(WAIT)
                for i, choice in enumerate(result.choices):
                    right = alone(model(), STORY, temperature=1.0, seed=10 + i, max_tokens=20)
                    self.assertEqual((choice.index, answer(choice)), (i, right))
                if not options:  # the prompt is computed once, and each choice but for its last token
                    self.assertEqual(made.metrics().step_rows, result.n_prompt + 5 * 19)
                self.assertEqual(made.metrics().prompt_tokens, result.n_prompt)

    def test_models_without_text(self):
        data = gguf_edit.with_metadata(MODEL.read_bytes(), {"tokenizer.ggml.model": "unheard-of"})
        other, tokens = lckv.Model.from_bytes(data), model().prompt(PROMPT)
        self.assertFalse(other.info.has_tokenizer)
        with engine(other) as made:
            choice = made.submit(tokens, max_tokens=10, echo=True).result(WAIT).choices[0]
            self.assertEqual(choice.tokens, tokens + alone(model(), PROMPT, max_tokens=10)[1])
            self.assertEqual(choice.text, "")
            for prompt, options in ((PROMPT, {}), (tokens, {"stop": "."})):
                with self.assertRaises(lckv.Unsupported):
                    made.submit(prompt, **options)

    def test_a_stop_string_is_named(self):
        whole = alone(model(), PROMPT, max_tokens=40)[0]
        stop = whole[30:36]
        with engine() as made:
            choice = made.submit(PROMPT, max_tokens=40, stop=["never", stop]).result().choices[0]
        self.assertEqual((choice.text, choice.reason, choice.stop), (whole[: whole.find(stop)], "string", stop))

    def test_what_prompts_have_in_common_is_computed_once(self):
        prefix = model().prompt(STORY * 4)
        for name in ("upward", "downward"):
            with self.subTest(plan=name), engine(with_plan(name), prefill_rows=64) as made:
                made.submit("Before", max_tokens=1).result()
                before = made.metrics().step_rows
                jobs = [made.submit([*prefix, 300 + i, 400 + i], max_tokens=1) for i in range(8)]
                results = [job.result(WAIT) for job in jobs]
                computed = made.metrics().step_rows - before
                self.assertLess(computed, len(prefix) + 8 * 4)
                self.assertEqual(sum(result.n_reused >= len(prefix) - 1 for result in results), 7)
                # and so is what came before, as long as its pages are not needed
                later = made.submit([*prefix, 500], max_tokens=1).result(WAIT)
                self.assertGreaterEqual(later.n_reused, len(prefix) - 1)

    def test_windowed_layers_share_prompts_while_they_can(self):
        prefix = model().prompt(STORY * 4)
        with engine(with_plan("windowed"), prefill_rows=4) as made:
            jobs = [made.submit([*prefix, 300 + i] + [400] * 100, max_tokens=1) for i in range(4)]
            self.assertEqual([job.result(WAIT).n_reused for job in jobs], [0] + [len(prefix)] * 3)

    def test_a_long_prompt_holds_nobody_up(self):
        with engine(with_plan("downward"), prefill_rows=8, n_tokens=8192) as made:
            first = made.submit(PROMPT, max_tokens=400, ignore_end=True)
            events = iter(first)
            next(events)
            long = made.submit(model().prompt(STORY * 40), max_tokens=1)
            n = 0
            while not long.done:
                next(events)
                n += 1
            self.assertGreater(n, 20)
            events.close()


class Memory(unittest.TestCase):
    def test_sequences_give_way_and_go_on(self):
        for name in ("upward", *PLANS):
            of = with_plan(name)
            with self.subTest(plan=name), engine(of, n_tokens=256, page_positions=16) as made:
                prompts = [f"{word} and the dog went" for word in ("Lily", "Tom", "Max", "Mia", "Sam", "Ben")]
                jobs = [made.submit(prompt, max_tokens=100, ignore_end=True) for prompt in prompts]
                for prompt, job in zip(prompts, jobs):
                    right = alone(of, prompt, max_tokens=100, ignore_end=True)
                    self.assertEqual(answer(job.result(WAIT).choices[0]), right)
                self.assertGreater(made.metrics().preemptions, 0)

    def test_a_text_as_long_as_the_cache(self):
        with engine(n_tokens=64, page_positions=16, max_sessions=2) as made:
            choice = made.submit(PROMPT, max_tokens=None, ignore_end=True).result(WAIT).choices[0]
            self.assertEqual(choice.reason, "full")
            right = alone(model(), PROMPT, max_tokens=len(choice.tokens), ignore_end=True)
            self.assertEqual((choice.text, choice.tokens), right[:2])
            self.assertEqual(made.submit(PROMPT, max_tokens=3).result(WAIT).choices[0].reason, "length")

    def test_what_can_never_be(self):
        with engine(n_tokens=64, page_positions=16, max_sessions=2) as made:
            for wrong in ([5] * (made.max_tokens + 1), [], [-1], [model().info.n_vocab]):
                with self.assertRaises(lckv.InvalidArgument):
                    made.submit(wrong)
            with self.assertRaises(ValueError):
                made.submit(PROMPT, n=0)
            with self.assertRaises(ValueError):
                made.submit(PROMPT, stop="")
            with self.assertRaises(lckv.InvalidArgument):
                made.submit(PROMPT, temperature=-1)
        with self.assertRaisesRegex(ValueError, "closed"):
            made.submit(PROMPT)
        self.assertTrue(made.closed)

    def test_a_prompt_that_just_does_not_fit(self):
        with engine(n_tokens=64, page_positions=16, max_sessions=2) as made:
            job = made.submit([5] * made.max_tokens, max_tokens=4, ignore_end=True)
            try:
                self.assertEqual(job.result(WAIT).choices[0].reason, "full")
            except lckv.InvalidArgument:
                self.assertIs(type(job.error), lckv.InvalidArgument)
            self.assertEqual(made.submit(PROMPT, max_tokens=3).result(WAIT).choices[0].reason, "length")

    def test_too_many_wait(self):
        with engine(max_sessions=1, max_queue=2, n_tokens=8192) as made:
            running = made.submit(PROMPT, max_tokens=None, ignore_end=True)
            events = iter(running)
            next(events)
            jobs = [made.submit(PROMPT, max_tokens=1) for _ in range(2)]
            with self.assertRaises(lckv.EngineFull):
                made.submit(PROMPT)
            self.assertGreaterEqual(made.retry_after(), 1.0)
            wait_until(lambda: [row.state for row in made.sessions()] == ["decoding", "waiting", "waiting"])
            figures = made.metrics()
            self.assertEqual((figures.requests_running, figures.requests_waiting), (1, 2))
            self.assertEqual(figures.requests_refused, 1)
            events.close()
            self.assertEqual([job.result(WAIT).choices[0].reason for job in jobs], ["length"] * 2)

    @needs_numpy
    def test_what_waits_takes_little_memory(self):
        """However large the vocabulary is, and whatever the choices of a request have in common."""

        prompt = 2000 * [model().bos]
        with engine(max_sessions=1, n_tokens=8192) as made, Held() as held:
            first = made.submit(PROMPT, max_tokens=1, constraint=lambda: held)
            self.assertTrue(held.has_come.wait(WAIT))
            options = {"n": 16, "logprobs": 1, "constraint": lambda: held}
            made.submit(prompt, **options).cancel()
            tracemalloc.start()
            try:
                jobs = [made.submit(prompt, **options) for _ in range(20)]
                taken = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            self.assertLess(taken / (20 * 16), 12000)
            for job in jobs:
                job.cancel()
            held.go_on.set()
            first.result(WAIT)

    @needs_numpy
    def test_cancelling_is_not_waiting(self):
        with engine(max_sessions=1, max_queue=4, n_tokens=8192) as made, Held() as held:
            made.submit(PROMPT, max_tokens=1, constraint=lambda: held)
            self.assertTrue(held.has_come.wait(WAIT))
            jobs = [made.submit(PROMPT, max_tokens=1) for _ in range(2)]
            for _ in range(20):
                jobs[0].cancel()
            self.assertLessEqual(made.metrics().requests_waiting, 3)
            jobs.append(made.submit(PROMPT, max_tokens=1))
            held.go_on.set()
            reasons = [job.result(WAIT).choices[0].reason for job in jobs]
            self.assertEqual(reasons, ["cancelled", "length", "length"])

    def test_sizes(self):
        sizes = {"8GiB": 2**33, "8 gib": 2**33, "1.5G": 1_500_000_000, "100kB": 100_000, "12": 12, 7: 7}
        for text, n in sizes.items():
            self.assertEqual(byte_count(text), n)
        for wrong in ("", "GiB", "8 GiB or so", "-1", 0, -5):
            with self.assertRaises(ValueError):
                byte_count(wrong)
        with lckv.Engine(model(), "16MiB", max_sessions=4) as made:
            figures = made.metrics()
            self.assertLessEqual(figures.pages_total * figures.page_bytes, 2**24)
            self.assertEqual(figures.max_sessions, 4)
        with lckv.Engine(model()) as made:
            self.assertGreaterEqual(made.max_tokens, model().info.context_length)


class Ends(unittest.TestCase):
    def test_leaving_an_iterator_cancels(self):
        with engine(n_tokens=8192) as made:
            for event in made.submit(PROMPT, max_tokens=None, ignore_end=True):
                if event.index == 0:
                    break
            wait_until(lambda: made.metrics().requests_cancelled == 1)
            self.assertEqual(made.metrics().sessions, 0)

    def test_cancelling(self):
        with engine(n_tokens=8192, max_sessions=1) as made:
            running = made.submit(PROMPT, max_tokens=None, ignore_end=True)
            waiting = made.submit(PROMPT, n=3)
            late = made.submit(PROMPT, deadline=0.05)
            waiting.cancel()
            self.assertEqual([choice.reason for choice in waiting.result(WAIT).choices], ["cancelled"] * 3)
            self.assertEqual(late.result(WAIT).choices[0].reason, "cancelled")
            self.assertGreaterEqual(late.result().seconds, 0.05)
            with self.assertRaises(TimeoutError):
                running.result(0.01)
            running.cancel()
            choice = running.result(WAIT).choices[0]
            self.assertEqual(choice.reason, "cancelled")
            n = len(choice.tokens)
            self.assertEqual(choice.text, alone(model(), PROMPT, max_tokens=n, ignore_end=True)[0])
            self.assertEqual(made.metrics().requests_cancelled, 3)

    def test_cancelling_at_any_time(self):
        chosen = random.Random(5)
        with engine(n_tokens=8192) as made:
            for i in range(60):
                job = made.submit(PROMPT, max_tokens=None, ignore_end=True)
                if i % 2:
                    time.sleep(chosen.random() * 0.002)
                job.cancel()
                self.assertEqual(job.result(WAIT).choices[0].reason, "cancelled")
            self.assertEqual(made.metrics().sessions, 0)

    def test_closing(self):
        for finish in (True, False):
            made = engine(n_tokens=8192, max_sessions=2)
            jobs = [made.submit(PROMPT, max_tokens=100, ignore_end=True) for _ in range(6)]
            made.close(finish=finish)
            self.assertEqual(made.metrics().requests_waiting, 0)
            jobs[0].cancel()  # too late: nothing happens
            self.assertEqual(made.metrics().requests_waiting, 0)
            reasons = {job.result(0).choices[0].reason for job in jobs}
            self.assertEqual(reasons, {"length"} if finish else {"cancelled"})
            made.close()
        made = engine(n_tokens=8192)
        job = made.submit(PROMPT, max_tokens=None, ignore_end=True)
        made.close(timeout=0.05)
        self.assertIn(job.result(0).choices[0].reason, ("cancelled", "full"))

    def test_who_waits_no_more_leaves_nothing(self):
        async def give_up(waiters):
            task = asyncio.ensure_future(await_it(waiters, lambda: False))
            await asyncio.sleep(0)
            self.assertEqual(len(waiters), 1)
            task.cancel()
            await asyncio.wait([task])

        with engine() as made:
            job = made.submit(PROMPT, max_tokens=None, ignore_end=True)
            for _ in range(20):
                with self.assertRaises(TimeoutError):
                    job.result(timeout=0.001)
            self.assertEqual(job._enders, [])
            asyncio.run(give_up(job._enders))
            self.assertEqual(job._enders, [])
            job.cancel()
            self.assertEqual(job.result(WAIT).choices[0].reason, "cancelled")

    def test_nobody_has_it_any_more(self):
        made = engine()
        thread, seen = made._scheduler._thread, weakref.ref(made)
        job = made.submit(PROMPT, max_tokens=20)
        del made
        self.assertEqual(len(job.result(WAIT).choices[0].tokens), 20)  # a job keeps its engine
        del job
        gc.collect()
        self.assertIsNone(seen())
        thread.join(WAIT)
        self.assertFalse(thread.is_alive())

    def test_an_engine_that_fails_tells_everybody(self):
        made = engine(n_tokens=8192)
        job = made.submit(PROMPT, max_tokens=None, ignore_end=True)
        made._scheduler._filling.fill = None  # a defect
        with self.assertRaises(TypeError):
            job.result(WAIT)
        with self.assertRaises(RuntimeError):
            made.submit(PROMPT)
        self.assertIsInstance(made.failure, TypeError)
        made.close()

    def run_python(self, code):
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", code, os.fspath(MODEL)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def test_the_interpreter_ends_with_a_running_engine(self):
        code = "import sys, lckv; e = lckv.Engine(lckv.Model(sys.argv[1]), n_tokens=65536)\n"
        code += "j = e.submit('Once', max_tokens=None, ignore_end=True); next(iter(j)); print('going')"
        process = self.run_python(code)
        output, errors = process.communicate(timeout=WAIT)
        self.assertEqual((output, errors, process.returncode), ("going\n", "", 0))

    def test_ctrl_c(self):
        code = "import signal, sys, lckv; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "with lckv.Engine(lckv.Model(sys.argv[1]), n_tokens=65536) as e:\n"
        code += " j = e.submit('Once', max_tokens=None, ignore_end=True); print('going'); j.result()"
        process = self.run_python(code)
        self.assertEqual(process.stdout.readline(), "going\n")
        time.sleep(0.1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT)
        self.assertLess(time.monotonic() - began, 30.0)
        self.assertTrue(errors.endswith("KeyboardInterrupt\n"), errors)

    def test_forks_have_no_loop(self):
        with engine() as made:
            made.submit(PROMPT, max_tokens=2).result()
            child = os.fork()
            if child == 0:
                try:
                    made.submit(PROMPT)
                except RuntimeError:
                    made.close()
                    os._exit(7)
                os._exit(1)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 7)
            self.assertEqual(made.submit(PROMPT, max_tokens=2).result(WAIT).n_generated, 2)


class Tasks(unittest.TestCase):
    def test_async_iteration(self):
        async def one(made, i):
            job = made.submit(STORY, temperature=0.9, seed=i, max_tokens=20)
            text = "".join([event.text async for event in job])
            self.assertEqual(text, (await job.aresult()).choices[0].text)
            return text

        async def main():
            with engine() as made:
                return await asyncio.gather(*(one(made, i) for i in range(20)))

        texts = asyncio.run(main())
        for i in (0, 7, 19):
            self.assertEqual(texts[i], alone(model(), STORY, temperature=0.9, seed=i, max_tokens=20)[0])

    def test_cancelled_tasks_cancel(self):
        async def read(job):
            async for _ in job:
                pass

        async def main(made):
            jobs = [made.submit(PROMPT, max_tokens=None, ignore_end=True) for _ in range(3)]
            tasks = [asyncio.create_task(read(jobs[0])), asyncio.create_task(jobs[1].aresult())]
            events = jobs[2].__aiter__()
            await events.__anext__()
            for task in tasks:
                task.cancel()
            await events.aclose()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self.assertEqual([type(result) for result in results], [asyncio.CancelledError] * 2)
            return [(await job.aresult()).choices[0].reason for job in jobs]

        with engine(n_tokens=8192) as made:
            self.assertEqual(asyncio.run(main(made)), ["cancelled"] * 3)
            self.assertEqual(made.metrics().sessions, 0)

    def test_many_threads(self):
        wrong, prompts = [], [PROMPT, STORY, "Tom", "The cat"]
        expected = [alone(model(), prompt, max_tokens=15)[:2] for prompt in prompts]

        def work(made, seed):
            chosen = random.Random(seed)
            for _ in range(12):
                i = chosen.randrange(len(prompts))
                job = made.submit(prompts[i], max_tokens=15)
                if chosen.random() < 0.2:
                    job.cancel()
                elif chosen.random() < 0.5:
                    text = "".join(event.text for event in job)
                    wrong.extend([text] if text != expected[i][0] else [])
                else:
                    found = job.result(WAIT).choices[0]
                    wrong.extend([found] if (found.text, found.tokens) != expected[i] else [])

        with engine(n_tokens=512, max_sessions=6, page_positions=16) as made:
            threads = [threading.Thread(target=work, args=(made, seed)) for seed in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WAIT)
            self.assertEqual(wrong, [])
            made.close()
            figures = made.metrics()
            self.assertEqual(figures.requests_done + figures.requests_cancelled, 8 * 12)


@needs_numpy
class Probabilities(unittest.TestCase):
    def test_logprobs(self):
        with engine() as made:
            choice = made.submit(STORY, max_tokens=6, logprobs=3, temperature=1.0, seed=4).result().choices[0]
            self.assertIsNone(made.submit(STORY, max_tokens=2).result().choices[0].logprobs)
            plain = made.submit(STORY, max_tokens=2, logprobs=0).result().choices[0]
            self.assertEqual([row.top for row in plain.logprobs], [(), ()])
        session, tokens = cache().session(), model().prompt(STORY)
        self.assertEqual([row.token for row in choice.logprobs], choice.tokens)
        for row in choice.logprobs:
            logits = session.evaluate(tokens, prefill="exact").logits[0]
            right = lckv.log_probabilities(logits)
            self.assertEqual(row.logprob, float(right[row.token]))
            best = sorted(range(len(right)), key=lambda token: (-right[token], token))[:3]
            self.assertEqual(row.top, tuple((token, float(right[token])) for token in best))
            tokens = [row.token]

    def test_the_echo_of_a_prompt(self):
        tokens = model().prompt(STORY)
        logits = cache().session().evaluate(tokens, logits="all", prefill="exact").logits
        right = lckv.log_probabilities(logits)
        for name in ("upward", "downward"):
            with self.subTest(plan=name), engine(with_plan(name)) as made:
                made.submit(STORY, max_tokens=1).result()
                job = made.submit(STORY, max_tokens=3, logprobs=1, echo=True, n=2, temperature=1.0, seed=5)
                result = job.result(WAIT)
                for choice in result.choices:
                    text, answered, _ = alone(made.model, STORY, max_tokens=3, temperature=1.0, seed=5 + choice.index)
                    self.assertEqual(choice.tokens, tokens + answered)
                    self.assertEqual(choice.text, STORY + text)
                    self.assertIsNone(choice.logprobs[0].logprob)
                    if name == "upward":
                        for i in range(1, len(tokens)):
                            self.assertEqual(choice.logprobs[i].logprob, float(right[i - 1][tokens[i]]))
                            self.assertEqual(choice.logprobs[i].top[0][0], int(right[i - 1].argmax()))
                self.assertEqual(result.n_generated, 6)
                scored = made.submit(STORY, max_tokens=0, echo=True, logprobs=0).result(WAIT).choices[0]
                self.assertEqual((scored.text, scored.reason, len(scored.logprobs)), (STORY, "length", len(tokens)))
                self.assertEqual(made.submit(STORY, max_tokens=0).result(WAIT).choices[0].text, "")
                self.assertEqual(
                    made.submit(STORY, max_tokens=2, echo=True).result(WAIT).choices[0].tokens[:-2], tokens
                )

    def test_embeddings(self):
        texts = [PROMPT, STORY, "The cat", STORY + "One day"]
        hidden = []
        for text in texts:
            tokens = model().prompt(text)
            hidden.append(cache().session().evaluate(tokens, logits="none", hidden="all", prefill="exact").hidden)
        with engine(prefill_rows=16) as made:
            for pooling in ("mean", "last"):
                for normalize in (True, False):
                    found = made.embed(texts, pooling=pooling, normalize=normalize)
                    self.assertEqual(found.shape, (4, model().info.hidden_size))
                    for row, states in zip(found, hidden):
                        right = states.mean(axis=0) if pooling == "mean" else states[-1]
                        right = right / numpy.linalg.norm(right) if normalize else right
                        numpy.testing.assert_allclose(row, right, rtol=1e-4, atol=1e-5)
            self.assertEqual(made.embed([]).shape, (0, model().info.hidden_size))
            again = asyncio.run(made.aembed(texts))
            self.assertTrue((again == made.embed(texts)).all())
            with self.assertRaises(lckv.InvalidArgument):
                made.embed(texts, pooling="max")
            with self.assertRaises(TypeError):
                made.embed(PROMPT)

    def test_embeddings_beside_answers_and_little_memory(self):
        with engine(with_plan("downward"), n_tokens=192, page_positions=16, prefill_rows=16) as made:
            right = made.embed([STORY, PROMPT])
            jobs = [made.submit(f"{word} went", max_tokens=90, ignore_end=True) for word in ("Tom", "Mia", "Max")]
            for _ in range(5):
                self.assertTrue((made.embed([STORY, PROMPT]) == right).all())
            self.assertEqual([job.result(WAIT).choices[0].reason for job in jobs], ["length"] * 3)

    def test_a_constraint_of_ones_own(self):
        class Even:
            def __init__(self):
                self.tokens = []

            def mask(self, logits):
                logits[1::2] = -numpy.inf

            def accept(self, token):
                self.tokens.append(token)

        made_of = []

        def make():
            made_of.append(Even())
            return made_of[-1]

        with engine() as made:
            options = dict(max_tokens=12, temperature=1.0, seed=1, ignore_end=True, logprobs=1)
            free = made.submit(PROMPT, **options).result().choices[0]
            result = made.submit(PROMPT, n=2, constraint=make, **options).result()
            for even, choice in zip(made_of, result.choices):
                self.assertEqual(even.tokens, choice.tokens)
                self.assertTrue(all(token % 2 == 0 for token in choice.tokens))
            self.assertTrue(any(token % 2 for token in free.tokens))
            self.assertEqual(result.choices[0].logprobs[0].top, free.logprobs[0].top)  # those of the model itself

            constraint = Even()
            sampler = lckv.Sampler(1.0, seed=1, constraint=constraint)
            session = cache().session()
            text = session.complete(PROMPT, sampler=sampler, max_tokens=12, ignore_end=True, prefill="exact").text
            self.assertEqual(text, result.choices[0].text)
            self.assertEqual(constraint.tokens, result.choices[0].tokens)
            for call in (sampler.clone, sampler.reset):
                with self.assertRaises(ValueError):
                    call()

    def test_a_constraint_that_fails(self):
        class Failing:
            def mask(self, logits):
                raise KeyError("mask")

            def accept(self, token):
                pass

        class Impossible(Failing):
            def mask(self, logits):
                logits[:] = -numpy.inf

        with engine() as made:
            beside = made.submit(PROMPT, max_tokens=50, ignore_end=True)
            job = made.submit(PROMPT, constraint=Failing, n=2)
            reasons = {event.reason for event in job}
            self.assertIn("error", reasons)
            with self.assertRaises(KeyError):
                job.result(WAIT)
            with self.assertRaises(lckv.InvalidArgument):
                made.submit(PROMPT, constraint=Impossible).result(WAIT)
            self.assertEqual(beside.result(WAIT).choices[0].reason, "length")
            self.assertEqual(made.metrics().requests_failed, 2)


class Parts(unittest.TestCase):
    def test_common_beginnings(self):
        from array import array

        chosen = random.Random(3)
        for _ in range(200):
            a = array("i", [chosen.randrange(2) for _ in range(chosen.randrange(20))])
            b = a[: chosen.randrange(20)] + array("i", [chosen.randrange(2) for _ in range(5)])
            right = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            self.assertEqual(common(a, b), right)

    def test_rows_of_prompts_follow_their_times(self):
        filling = Filling(512, 0.25, False, 1)
        self.assertEqual((filling._prompt_rows(True), filling._prompt_rows(False)), (FEWEST_ROWS, FIRST_ROWS))
        for seconds, rows, more in (
            (1e-3, 250, 512),
            (5e-3, 50, 200),
            (1e-5, 512, 512),
            (1.0, FEWEST_ROWS, FEWEST_ROWS),
        ):
            for _ in range(50):
                filling._n_prompt_rows = 100
                filling.learn(100 * seconds)
            self.assertAlmostEqual(filling._prompt_rows(True), rows, delta=1)
            self.assertAlmostEqual(filling._prompt_rows(False), more, delta=1)

    def test_passes_of_upward_plans_follow_their_times(self):
        filling = Filling(512, 0.25, True, 1)
        self.assertEqual(filling._passes(), 1)
        for seconds, passes in ((0.1, 10), (1e-4, MOST_PASSES), (5.0, 1)):
            for _ in range(50):
                filling._n_passes = 4
                filling.learn(4 * seconds)
            self.assertAlmostEqual(filling._passes(), passes, delta=1)


if __name__ == "__main__":
    unittest.main()
