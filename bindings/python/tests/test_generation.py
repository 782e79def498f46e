"""Text piece by piece, in one call, in asyncio, and what ends it."""

import asyncio
import subprocess
import sys
import time
import unittest

from support import MODEL, PROMPT, cache, model, session

import lckv
from lckv._generation import Stops


class Pieces(unittest.TestCase):
    def test_they_are_what_the_library_generates(self):
        story = session().complete(PROMPT, max_tokens=40).text
        for options in (
            {},
            {"stop": story[60:70]},
            {"stop": (story[20:21], story[50:58], "never")},
            {"stop": "qqq", "ignore_end": True},
            {"sampler": dict(temperature=0.9, top_p=0.9, seed=5, repetition_penalty=1.2)},
        ):
            options = {"max_tokens": 40, **options}
            sampler = options.pop("sampler", {})
            first, second = session(), session()
            whole = first.complete(PROMPT, sampler=lckv.Sampler(**sampler), **options)
            pieces = second.generate(PROMPT, sampler=lckv.Sampler(**sampler), **options)
            self.assertEqual("".join(piece.text for piece in pieces), whole.text)
            self.assertEqual(
                (pieces.tokens, pieces.reason, pieces.n_prompt), (whole.tokens, whole.reason, whole.n_prompt)
            )
            self.assertEqual(pieces.text, whole.text)
            self.assertEqual(second.tokens, first.tokens)

    def test_the_end_of_a_text(self):
        for kind in ("complete", "generate"):
            s = session()
            made = getattr(s, kind)(PROMPT, max_tokens=None, stop=())
            text = made.text if kind == "complete" else made.read()
            self.assertIn(made.reason, ("end", "full"))
            self.assertGreater(len(text), 100)

    def test_the_end_token(self):
        sampler = lckv.Sampler(logit_bias={model().eos: 1000.0})
        for ignore_end, n, reason in ((False, 1, "end"), (True, 5, "length")):
            for kind in ("complete", "generate"):
                made = getattr(session(), kind)(PROMPT, max_tokens=5, sampler=sampler, ignore_end=ignore_end)
                tokens = made.tokens if kind == "complete" else [piece.token for piece in made]
                self.assertEqual((tokens, made.reason), ([model().eos] * n, reason))

    def test_a_full_cache_ends_a_text(self):
        texts = []
        for kind in ("complete", "generate"):
            s = session(n_tokens=64, max_sessions=1, page_positions=16)
            made = getattr(s, kind)(PROMPT, max_tokens=4000, ignore_end=True)
            texts.append(made.text if kind == "complete" else made.read())
            self.assertEqual(made.reason, "full")
        self.assertEqual(*texts)

    def test_leaving_a_text_and_going_on(self):
        whole = session().complete(PROMPT, max_tokens=20)
        s = session()
        with s.generate(PROMPT, max_tokens=20) as generation:
            for i, _piece in enumerate(generation):
                if i == 5:
                    break
        self.assertEqual(generation.reason, "callback")
        self.assertEqual(list(generation), [])
        tokens = generation.tokens
        self.assertEqual(s.tokens, model().tokenize(PROMPT) + tokens[:-1])
        rest = s.generate(tokens[-1:], max_tokens=20 - len(tokens))
        self.assertEqual(tokens + [piece.token for piece in rest if piece.token is not None], whole.tokens)

    def test_two_texts_in_turns(self):
        made = cache()
        pieces = list(zip(made.session().generate(PROMPT, max_tokens=9), made.session().generate(PROMPT, max_tokens=9)))
        self.assertGreaterEqual(len(pieces), 9)
        self.assertTrue(all(a == b for a, b in pieces))

    def test_forks_go_on_without_a_prompt(self):
        s = session()
        s.evaluate(model().tokenize(PROMPT), hold=True)
        texts = {f.generate(max_tokens=12).read() for f in (s.fork(), s.fork())}
        self.assertEqual(texts, {session().complete(PROMPT, max_tokens=12).text})
        with self.assertRaises(ValueError):
            session().generate().read()

    def test_a_second_text_has_no_bos(self):
        s = session()
        s.complete(PROMPT, max_tokens=2)
        s.complete(" and then", max_tokens=2)
        self.assertEqual(s.tokens.count(model().bos), 1)

    def test_wrong_options(self):
        for wrong in ({"max_tokens": 0}, {"stop": ""}, {"prefill": "soon"}):
            with self.assertRaises(ValueError):
                session().generate(PROMPT, **wrong).read()
            with self.assertRaises(ValueError):
                session().complete(PROMPT, **wrong)

    def test_callbacks(self):
        seen = []

        def take(text, token):
            seen.append(token)
            return len(seen) == 3

        completion = session().complete(PROMPT, on_token=take)
        self.assertEqual((completion.reason, completion.tokens), ("callback", seen))

        def refuse(text, token):
            raise ArithmeticError("enough")

        with self.assertRaisesRegex(ArithmeticError, "enough"):
            session().complete(PROMPT, on_token=refuse)

    def test_closing_computes_nothing(self):
        made = cache()
        s = made.session()
        generation = s.generate(PROMPT)
        next(generation)
        length = s.length
        generation.close()
        self.assertEqual((list(generation), s.length), ([], length))


class StopStrings(unittest.TestCase):
    def test_text_is_held_back(self):
        stops = Stops(["the end", "then"])
        self.assertEqual(
            [stops.push(text, False) for text in ("a th", "e", "re ", "the", " en", "d of")],
            ["a ", "", "there ", "", "", ""],
        )
        self.assertTrue(stops.found)
        rest = Stops(["abc"])
        self.assertEqual((rest.push("xab", False), rest.push("", True)), ("x", "ab"))


class Async(unittest.TestCase):
    def test_pieces(self):
        expected = session().complete(PROMPT, max_tokens=15).text

        async def main():
            made = cache(waits=True)
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0)
                    ticks += 1

            ticking = asyncio.ensure_future(tick())
            generations = [made.session().agenerate(PROMPT, max_tokens=15) for _ in range(4)]
            texts = await asyncio.gather(*(generation.read() for generation in generations))
            ticking.cancel()
            return texts, ticks, generations[0].reason

        texts, ticks, reason = asyncio.run(main())
        self.assertEqual((texts, reason), ([expected] * 4, "length"))
        self.assertGreater(ticks, 4)

    def test_a_cancelled_task(self):
        async def main():
            made = cache(n_tokens=8192, max_sessions=2, waits=True)
            s = made.session()

            async def long():
                await s.agenerate([300] * 8000, prefill="exact").read()

            task = asyncio.ensure_future(long())
            await asyncio.sleep(0.05)
            start = time.perf_counter()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertLess(time.perf_counter() - start, 2)
            self.assertEqual(s.length, 0)
            return await made.session().agenerate(PROMPT, max_tokens=3).read()

        self.assertTrue(asyncio.run(main()))

    def test_cancelling_one_leaves_the_other(self):
        async def main():
            made = cache(n_tokens=4096, max_sessions=2, waits=True)
            first, second = made.session(), made.session()
            one = asyncio.ensure_future(first.agenerate([300] * 600, prefill="exact", max_tokens=1).read())
            two = asyncio.ensure_future(second.agenerate([300] * 600, prefill="exact", max_tokens=1).read())
            await asyncio.sleep(0.02)
            two.cancel()
            await asyncio.gather(one, two, return_exceptions=True)
            self.assertTrue(two.cancelled())
            self.assertEqual((first.length, second.length), (600, 0))

        asyncio.run(main())

    def test_what_callbacks_raise(self):
        def refuse(logits):
            raise KeyError("no")

        async def main():
            async with session().agenerate(PROMPT, sampler=lckv.Sampler(callback=refuse)) as generation:
                async for _ in generation:
                    pass

        if __import__("support").numpy is None:
            self.skipTest("no numpy")
        with self.assertRaises(KeyError):
            asyncio.run(main())


INTERRUPTED = """
import sys, threading, time, os, signal, lckv
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs of a shell may ignore it
cache = lckv.Cache(lckv.Model(sys.argv[1]), n_tokens=60000, max_sessions=1)
session = cache.session()
begun = threading.Event()
def interrupt():
    begun.wait()
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
def run():
    begun.set()
    %s
start = time.perf_counter()
try:
    run()
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - start < 10, session.length)
"""


class Interrupts(unittest.TestCase):
    def interrupted(self, statement):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED % statement, str(MODEL)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_ctrl_c_ends_a_long_prompt(self):
        self.assertEqual(
            self.interrupted("session.evaluate([300] * 50000, hold=True, prefill='exact')"),
            ["interrupted", "True", "0"],
        )

    def test_ctrl_c_ends_a_completion(self):
        made = self.interrupted("session.complete([300], max_tokens=50000, ignore_end=True)")
        self.assertEqual(made[:2], ["interrupted", "True"])

    def test_ctrl_c_ends_pieces(self):
        made = self.interrupted("session.generate([300], max_tokens=50000, ignore_end=True).read()")
        self.assertEqual(made[:2], ["interrupted", "True"])

    def test_a_second_ctrl_c_leaves_a_callback_that_hangs(self):
        made = self.interrupted(
            "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT)); signal.setitimer("
            "signal.ITIMER_REAL, 0.5); session.complete([300], on_token=lambda *_: time.sleep(3600))"
        )
        self.assertEqual(made[:2], ["interrupted", "True"])

    def test_ctrl_c_ends_asyncio(self):
        made = self.interrupted(
            "import asyncio; asyncio.run(session.agenerate([300] * 50000, max_tokens=1, prefill='exact').read())"
        )
        self.assertEqual(made, ["interrupted", "True", "0"])


if __name__ == "__main__":
    unittest.main()
