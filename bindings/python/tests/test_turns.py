"""Calls that wait for each other, and what is left when one is interrupted, cancelled or fails."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from support import MODEL, PROMPT, cache, model, needs_numpy, numpy, session

import lckv
from lckv import _evaluation
from lckv._calls import Call, _Worker


class Interruption(Exception):
    pass


def interrupted(evaluate):
    """Evaluates, and raises as the handler of a signal does that comes just then."""

    def wrapper(*arguments):
        evaluate(*arguments)
        raise Interruption

    return wrapper


def refused(_evaluate):
    def wrapper(*_):
        raise lckv.Busy("no")

    return wrapper


def changed(change):
    return mock.patch.object(_evaluation, "_make", change(_evaluation._make))


class Steps(unittest.TestCase):
    """A step that an exception ended is gone on with by the next."""

    def setUp(self):
        self.whole = session().complete(PROMPT, max_tokens=12)

    def test_an_exception_behind_a_step(self):
        for change, exception in ((interrupted, Interruption), (refused, lckv.Busy)):
            s = session()
            generation = s.generate(PROMPT, max_tokens=12)
            texts = []
            for _ in range(12):
                with changed(change), self.assertRaises(exception):
                    next(generation)
                texts.append(next(generation).text)
            self.assertEqual((generation.tokens, "".join(texts)), (self.whole.tokens, self.whole.text))
            self.assertEqual(s.tokens, model().tokenize(PROMPT) + self.whole.tokens[:-1])
            self.assertEqual(generation.n_prompt, self.whole.n_prompt)

    def test_an_exception_without_a_prompt(self):
        for change, exception in ((interrupted, Interruption), (refused, lckv.Busy)):
            s = session()
            s.evaluate(model().tokenize(PROMPT), hold=True)
            s.cache.session().evaluate([300], hold=True)  # so the cache does not hold the logits any more
            generation = s.generate(max_tokens=12)
            for _ in range(3):
                with changed(change), self.assertRaises(exception):
                    next(generation)
            self.assertEqual(generation.read(), self.whole.text)
            self.assertEqual(s.tokens, model().tokenize(PROMPT) + self.whole.tokens[:-1])

    def test_a_closed_session_is_given_up(self):
        """Whoever still has its text does not keep its pages."""

        made = cache(reuse=False)
        s = made.session()
        generation = s.generate(PROMPT, max_tokens=12)
        next(generation), next(generation)
        before = made.stats.n_pages_free
        s.close()
        self.assertGreater(made.stats.n_pages_free, before)
        with self.assertRaisesRegex(ValueError, "closed"):
            next(generation)

    def test_signals_at_any_time(self):
        is_armed = False

        def handle(*_):
            if is_armed:
                raise Interruption

        before = signal.signal(signal.SIGALRM, handle)
        try:
            made = cache(n_threads=1)
            tokens = model().tokenize(PROMPT)
            for i in range(60):
                with made.session() as s:
                    generation = s.generate(tokens, max_tokens=12)
                    try:
                        is_armed = True
                        signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.0004 * i)
                        generation.read()
                        is_armed = False
                    except Interruption:
                        is_armed = False
                    generation.read()
                    self.assertEqual(s.tokens, tokens + generation.tokens[:-1])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_a_timeout_loses_no_piece(self):
        async def main():
            generation = session(n_threads=1).agenerate(PROMPT, max_tokens=80, ignore_end=True)
            pieces, i = [], 0
            while True:
                i += 1
                try:
                    pieces.append(await asyncio.wait_for(generation.__anext__(), 0.0005 + 0.0002 * (i % 20)))
                except asyncio.TimeoutError:
                    pass
                except StopAsyncIteration:
                    return generation, pieces

        generation, pieces = asyncio.run(main())
        self.assertEqual("".join(piece.text for piece in pieces), generation.text)
        self.assertEqual([piece.token for piece in pieces if piece.token is not None], generation.tokens)
        self.assertEqual(len(generation.tokens), 80)

    def test_a_cancelled_step_that_was_done(self):
        async def main():
            generation = session().agenerate(PROMPT, max_tokens=12)
            texts = []
            for _ in range(12):
                task = asyncio.ensure_future(generation.__anext__())
                await asyncio.sleep(0)
                time.sleep(0.05)  # the step is done before the loop can tell
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self.assertTrue(task.cancelled())
                texts.append((await generation.__anext__()).text)
            return "".join(texts)

        self.assertEqual(asyncio.run(main()), self.whole.text)


class Threads(unittest.TestCase):
    def test_cancelling_one_task_leaves_another(self):
        def slow(logits):
            time.sleep(0.3)

        async def main():
            made = cache(waits=True)
            first = made.session().agenerate(PROMPT, sampler=lckv.Sampler(callback=slow))
            second = made.session().agenerate([300] * 600, prefill="exact", max_tokens=1)
            slept = asyncio.ensure_future(first.__anext__())
            while first.n_prompt == 0:
                await asyncio.sleep(0.001)
            going = asyncio.ensure_future(second.read())
            await asyncio.sleep(0.05)
            slept.cancel()
            await asyncio.gather(slept, return_exceptions=True)
            await going
            return second.reason

        if numpy is None:
            self.skipTest("no numpy")
        self.assertEqual(asyncio.run(main()), "length")

    @needs_numpy
    def test_clones_of_a_sampler_with_a_callback(self):
        wrong = []

        def look(logits):
            seen = logits.copy()
            time.sleep(0.001)
            if not (seen == logits).all():
                wrong.append("changed")

        first = lckv.Sampler(callback=look)

        def work(sampler, token):
            row = numpy.zeros(4096, "float32")
            row[token] = 5
            for _ in range(60):
                if sampler.sample(row) != token:
                    wrong.append(token)

        second = first.clone()
        run_all([lambda: work(first, 3), lambda: work(second, 9)])
        self.assertEqual(wrong, [])

    def test_logits_are_ones_own(self):
        made = cache(waits=True, n_threads=1)
        prompts = [model().tokenize(text) for text in ("Once upon a", "The old", "One day, a little", "Tom and")]

        def first_token(tokens):
            with made.session() as s:
                s.evaluate(tokens, hold=True)
                return next(s.generate(max_tokens=1)).token

        expected, wrong = [first_token(tokens) for tokens in prompts], []

        def work(i):
            for _ in range(150):
                if first_token(prompts[i]) != expected[i]:
                    wrong.append(i)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            run_all([lambda i=i: work(i) for i in range(4)])
        finally:
            sys.setswitchinterval(interval)
        self.assertEqual(wrong, [])

    def test_all_calls_wait_for_their_turn(self):
        made = cache(waits=True)
        first, second = made.session(), made.session()
        second.evaluate(model().tokenize(PROMPT), hold=True)
        calls = [
            made.session,
            second.fork,
            lambda: made.session().reuse([1, 2]),
            lambda: made.cost([lckv.Item(first, [1])]),
            lambda: lckv.Sampler().sample(second),
            lambda: second.truncate(2),
            lambda: second.save(io.BytesIO()),
        ]
        if numpy is not None:
            calls += [second.logits, lambda: second.read_kv(0, 0, 1)]
        for call in calls:
            begun, is_done = threading.Event(), []

            def work(begun=begun, is_done=is_done):
                with made.session() as s:
                    s.complete(PROMPT, max_tokens=4, on_token=lambda *_: begun.set() or time.sleep(0.005))
                    is_done.append(True)

            thread = threading.Thread(target=work)
            thread.start()
            begun.wait()
            try:
                call()
            except lckv.InvalidArgument as error:  # the logits are gone after another call
                self.assertIn("logits", str(error))
            thread.join()
            self.assertEqual(is_done, [True])

    def test_a_callback_is_refused_and_does_not_wait_for_itself(self):
        for waits in (False, True):
            s = session(waits=waits)

            def again(*_, s=s):
                with self.assertRaises(lckv.Busy):
                    s.cache.session()
                with self.assertRaises(lckv.Busy):
                    s.evaluate([300], hold=True)

            s.complete(PROMPT, max_tokens=2, on_token=again)
            self.assertTrue(s.cache.session().complete(PROMPT, max_tokens=2).text)

    def test_turns_come_in_order(self):
        made = cache(waits=True)
        order, begun, go_on = [], threading.Event(), threading.Event()

        def hold():
            made.session().complete(PROMPT, max_tokens=1, on_token=lambda *_: begun.set() or go_on.wait())

        def wait(i):
            made._shared.turns.work(Call(), lambda: order.append(i))

        holder = threading.Thread(target=hold)
        holder.start()
        begun.wait()
        threads = []
        for i in range(6):
            threads.append(threading.Thread(target=wait, args=(i,)))
            threads[-1].start()
            while len(made._shared.turns._queue) < i + 2:
                time.sleep(0.001)
        go_on.set()
        for thread in [holder, *threads]:
            thread.join()
        self.assertEqual(order, list(range(6)))

    def test_a_cancelled_call_that_waits_ends_at_once(self):
        async def main():
            made = cache(waits=True)
            begun, go_on = threading.Event(), threading.Event()
            holder = threading.Thread(
                target=lambda s: s.complete(PROMPT, max_tokens=1, on_token=lambda *_: begun.set() or go_on.wait()),
                args=(made.session(),),
            )
            waiting = made.session()
            holder.start()
            begun.wait()
            try:
                start = time.perf_counter()
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(waiting.agenerate(PROMPT).read(), 0.05)
                self.assertLess(time.perf_counter() - start, 2)
            finally:
                go_on.set()
                holder.join()
            return await waiting.agenerate(PROMPT, max_tokens=3).read()

        self.assertTrue(asyncio.run(main()))


def run_all(functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


WAITING = """
import os, signal, sys, threading, time, lckv
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs of a shell may ignore it
cache = lckv.Cache(lckv.Model(sys.argv[1]), n_tokens=1024, max_sessions=4, waits=True)
session, other = cache.session(), cache.session()
session.evaluate([300] * 10, hold=True)
begun, go_on = threading.Event(), threading.Event()
work = lambda: other.complete([300], max_tokens=2, on_token=lambda *_: begun.set() or go_on.wait(10))
thread = threading.Thread(target=work, daemon=True)
thread.start()
begun.wait()
def interrupt():
    global start
    while len(cache._shared.turns._queue) < 2:
        time.sleep(0.01)
    start = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    %s
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - start < 10, session.length)
    go_on.set()
    thread.join()
    print(cache.session().length)
"""


class Waiting(unittest.TestCase):
    def test_ctrl_c_ends_waiting(self):
        statements = [
            "cache.session()",
            "session.truncate(5)",
            "session.evaluate([300], logits='none')",
            "session.evaluate([300] * 20, logits='none')",
            "cache.cost([lckv.Item(session, [1])])",
            "lckv.Sampler().sample(session)",
        ]
        started = [
            subprocess.Popen(
                [sys.executable, "-c", WAITING % statement, str(MODEL)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            for statement in statements
        ]
        for statement, process in zip(statements, started):
            with self.subTest(statement):
                self.assertEqual(process.communicate(timeout=60), ("interrupted True 10\n0\n", ""))


class Workers(unittest.TestCase):
    def test_helper_threads_are_used_again(self):
        s = session()
        s.evaluate([300] * 8, logits="none")
        with mock.patch.object(threading.Thread, "start", side_effect=AssertionError):
            while not _Worker.idle:
                time.sleep(0.001)
            s.evaluate([300] * 8, logits="none")

    @unittest.skipUnless(hasattr(os, "fork"), "no fork")
    def test_a_child_has_its_own(self):
        # Both write to one pipe, each line in one call: print makes two with PYTHONUNBUFFERED.
        script = (
            "import os, sys, lckv; s = lckv.Model(sys.argv[1]).cache(n_threads=1).session();"
            "s.evaluate([300] * 9, logits='none'); child = os.fork();"
            "s.evaluate([300] * 9, logits='none'); os.write(1, b'%d\\n' % s.length);"
            "child and os.write(1, b'%d\\n' % os.waitpid(child, 0)[1])"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, str(MODEL)],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
        )
        self.assertEqual(done.stdout.split(), ["18", "18", "0"])


class Starting(unittest.TestCase):
    """Ctrl-C while the helper thread of a call starts."""

    def test_ctrl_c_before_and_after(self):
        start = threading.Thread.start

        def before(thread):
            raise KeyboardInterrupt

        def after(thread):
            start(thread)
            raise KeyboardInterrupt

        for change in (before, after):
            s = session(n_tokens=4096)
            began = time.perf_counter()
            _Worker.idle.clear()
            with mock.patch.object(threading.Thread, "start", change), self.assertRaises(KeyboardInterrupt):
                s.evaluate([300] * 4000, logits="none", prefill="exact")
            self.assertLess(time.perf_counter() - began, 2)
            self.assertEqual(s.length, 0)
            s.evaluate([300] * 20, logits="none")


if __name__ == "__main__":
    unittest.main()
