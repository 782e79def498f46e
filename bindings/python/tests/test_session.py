"""Caches, sessions, evaluation and samplers."""

import array
import gc
import io
import os
import pathlib
import tempfile
import threading
import unittest
import weakref

from support import PROMPT, cache, model, needs_numpy, numpy, session

import lckv


class Caches(unittest.TestCase):
    def test_figures(self):
        made = cache(n_tokens=512, max_sessions=3, kv_dtype="q8_0", v_dtype="q4_0", n_threads=1, rollback=32)
        stats = made.stats
        self.assertEqual((stats.max_sessions, stats.kv_dtype, stats.v_dtype, stats.n_threads), (3, "q8_0", "q4_0", 1))
        self.assertEqual(made.model.fingerprint, model().fingerprint)
        self.assertIn("0 of 3 sessions", repr(made))
        sessions = [made.session() for _ in range(3)]
        self.assertEqual(made.stats.n_sessions, 3)
        with self.assertRaises(lckv.CacheFull):
            made.session()
        sessions[0].close()
        made.session()

    def test_an_estimate_is_what_a_cache_takes(self):
        options = dict(budget_bytes=8 << 20, max_sessions=4)
        estimate = lckv.Cache.estimate(model(), 128, **options)
        stats = model().cache(**options).stats
        self.assertEqual((estimate.n_pages, estimate.scratch_bytes), (stats.n_pages, stats.scratch_bytes))
        with self.assertRaises(TypeError):
            lckv.Cache.estimate(model(), 128, no_such_option=1)

    def test_options_that_are_wrong(self):
        with self.assertRaises(ValueError):
            cache(page_positions=17)
        with self.assertRaises(lckv.Unsupported):
            cache(kv_dtype="q9")

    def test_numbers_that_do_not_fit(self):
        for make, message in (
            (lambda: cache(n_threads=2**40), "n_threads is 1099511627776; expected 0 to 4294967295"),
            (lambda: cache(n_tokens=-1), "n_tokens is -1; expected 0 to"),
            (lambda: lckv.Sampler(top_k=-1), "top_k is -1"),
            (lambda: lckv.Sampler(logit_bias={2**32: 1.0}), "token is 4294967296; expected -2147483648 to"),
            (lambda: lckv.Sampler().accept(2**32 + 1), "token is"),
            (lambda: lckv.Pool(-1), "n_threads is -1"),
            (lambda: lckv.Plan("0_1", 2**32 + 2), "n_layers is"),
            (lambda: model().token(2**32), "token is"),
            (lambda: session().evaluate([1], hold=True, window=-1), "window is -1"),
        ):
            with self.assertRaisesRegex(lckv.InvalidArgument, message):
                make()

    def test_names_lead_back(self):
        s = session(max_sessions=2)
        self.assertEqual(s.cache.stats.max_sessions, 2)
        s.cache.session()


class Sessions(unittest.TestCase):
    def test_tokens(self):
        tokens = model().tokenize(PROMPT)
        s = session()
        self.assertTrue(s)
        s.evaluate(tokens, hold=True)
        self.assertEqual((s.length, len(s), s.tokens), (len(tokens), len(tokens), tokens))
        self.assertEqual(s.read_tokens(1, 3), tokens[1:3])
        self.assertEqual(s.min_length, 0)
        s.truncate(2)
        self.assertEqual(s.tokens, tokens[:2])
        fork = s.fork()
        fork.evaluate([300], hold=True)
        self.assertEqual((s.length, fork.length), (2, 3))
        for wrong in (lambda: s.truncate(9), lambda: s.truncate(-1), lambda: s.read_tokens(1, 9)):
            with self.assertRaises(ValueError):
                wrong()

    def test_reuse(self):
        tokens = model().tokenize(PROMPT + ", there was a little girl named Lily. " * 8)
        made = cache(page_positions=16)
        with made.session() as first:
            first.evaluate(tokens, hold=True)
        second = made.session()
        self.assertEqual(second.reuse(tokens), len(tokens) - 1)
        second.evaluate(tokens[-1:], hold=True)
        self.assertEqual(made.stats.n_reuses, 1)

    def test_a_full_cache_changes_nothing(self):
        made = cache(n_tokens=64, max_sessions=1)
        s = made.session()
        with self.assertRaises(lckv.CacheFull) as caught:
            s.evaluate([300] * 5000, hold=True)
        self.assertEqual(s.length, 0)
        self.assertEqual(caught.exception.report.failed_item, 0)
        self.assertGreater(caught.exception.report.pages_needed, caught.exception.report.pages_free)

    def test_costs(self):
        made = cache()
        report = made.cost([lckv.Item(made.session(), [300] * 100, hidden="all")])
        self.assertEqual(report.n_tokens, 100)
        self.assertGreater(report.pages_needed, 0)

    def test_memory_of_ones_own(self):
        tokens = model().tokenize(PROMPT)
        made = cache()
        row = array.array("f", bytes(4 * 4096))
        [result] = made.evaluate([lckv.Item(made.session(), tokens, out=row)])
        self.assertIsNone(result.logits)
        self.assertEqual(lckv.Sampler().sample(row), row.index(max(row)))
        again = array.array("f", bytes(4 * 4096))
        self.assertIsNone(made.session().evaluate(tokens, out=again).logits)
        self.assertEqual(again, row)
        with self.assertRaises(ValueError):
            made.evaluate([lckv.Item(made.session(), tokens, out=row[:4000])])
        for wrong in (bytes(4 * 4096), array.array("d", bytes(8 * 4096)), memoryview(row).toreadonly()):
            with self.assertRaises(TypeError):
                made.evaluate([lckv.Item(made.session(), tokens, out=wrong)])
        if numpy is not None:
            rows = numpy.zeros((len(tokens), 4096), "float32")
            made.evaluate([lckv.Item(made.session(), tokens, logits="all", out=rows)])
            self.assertEqual(rows[-1].tolist(), row.tolist())

    def test_progress_and_what_it_raises(self):
        told = []
        made = cache(max_rows=16)
        s = made.session()
        s.evaluate([300] * 64, hold=True, prefill="exact", progress=lambda done, total: told.append((done, total)))
        self.assertEqual(told[-1], (64, 64))

        def stop(done, total):
            raise LookupError("enough")

        with self.assertRaisesRegex(LookupError, "enough"):
            s.evaluate([300] * 64, hold=True, progress=stop)
        self.assertEqual(s.length, 64)

    def test_busy_and_waiting(self):
        for waits in (False, True):
            made = cache(waits=waits)
            first, second = made.session(), made.session()
            started, tried, results = threading.Event(), threading.Event(), []
            if waits:
                tried.set()

            def work(first=first, started=started, tried=tried):
                def hold(*_):
                    started.set()
                    tried.wait(30)

                first.complete(PROMPT, max_tokens=60, ignore_end=True, on_token=hold)

            thread = threading.Thread(target=work)
            thread.start()
            started.wait()
            try:
                second.evaluate([300], hold=True)
                results.append("done")
            except lckv.Busy:
                results.append("busy")
            tried.set()
            self.assertEqual(made.stats.n_sessions, 2)
            thread.join()
            self.assertEqual(results, ["done" if waits else "busy"])

    def test_calls_compute_beside_each_other(self):
        n, done = 4, []

        def work(i):
            s = session(n_threads=1)
            done.append((i, s.complete(PROMPT, max_tokens=30).text))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(done), n)
        self.assertEqual(len({text for _, text in done}), 1)

    def test_cancel(self):
        made = cache()
        s = made.session()

        def cancel(*_):
            made.cancel()

        completion = s.complete(PROMPT, max_tokens=50, on_token=cancel)
        self.assertEqual(completion.reason, "cancelled")


@needs_numpy
class Arrays(unittest.TestCase):
    def test_what_items_want(self):
        made = cache()
        a, b, c, d = (made.session() for _ in range(4))
        tokens = model().tokenize(PROMPT)
        results = made.evaluate(
            [
                lckv.Item(a, tokens),
                lckv.Item(b, tokens, logits="all", hidden="wanted"),
                lckv.Item(c, numpy.array(tokens), logits="none", hidden="all"),
                lckv.Item(d, tokens, logits="none", hidden="wanted"),
            ]
        )
        n = len(tokens)
        self.assertEqual(results[0].logits.shape, (1, 4096))
        self.assertIsNone(results[0].hidden)
        self.assertEqual((results[1].logits.shape, results[1].hidden.shape), ((n, 4096), (n, 256)))
        self.assertIsNone(results[2].logits)
        self.assertTrue((results[2].hidden == results[1].hidden).all())
        self.assertTrue((results[3].hidden == results[1].hidden[-1:]).all())
        self.assertTrue((results[0].logits == results[1].logits[-1:]).all())
        self.assertEqual(results.report.n_tokens, 4 * n)
        self.assertEqual(len(results), 4)
        self.assertTrue(results[0].logits.flags.owndata)

    def test_logits_that_the_cache_holds(self):
        s = session()
        with self.assertRaises(ValueError):
            s.logits()
        expected = session().evaluate(model().tokenize(PROMPT)).logits
        s.evaluate(model().tokenize(PROMPT), hold=True)
        view, copy = s.logits(copy=False), s.logits()
        self.assertTrue((view == expected).all() and (copy == expected).all())
        self.assertFalse(view.flags.writeable)
        self.assertTrue(copy.flags.writeable)
        s.evaluate([300], hold=True)
        self.assertTrue((copy == expected).all())

    def test_a_view_outlives_all_that_it_came_from(self):
        made = cache()
        s = made.session()
        s.evaluate(model().tokenize(PROMPT), hold=True)
        row = s.logits(copy=False)[0][10:]
        expected = row.copy()
        s.close()
        made.close()
        del s, made
        gc.collect()
        others = [cache(n_tokens=256) for _ in range(4)]
        self.assertTrue((row == expected).all())
        del others

    def test_keys_and_values(self):
        s = session()
        s.evaluate(model().tokenize(PROMPT), hold=True)
        keys, values = s.read_kv(1, 1, 3)
        self.assertEqual((keys.shape, values.shape), ((2, 4, 32), (2, 4, 32)))
        self.assertTrue(keys.any() and values.any())
        with self.assertRaises(ValueError):
            s.read_kv(3, 0, 1)

    def test_log_probabilities(self):
        rows = session().evaluate(model().tokenize(PROMPT), logits="all").logits
        made = lckv.log_probabilities(rows)
        self.assertEqual(made.shape, rows.shape)
        self.assertTrue(numpy.allclose(numpy.exp(made).sum(axis=1), 1, atol=1e-4))
        self.assertTrue((lckv.log_probabilities(rows[2]) == made[2]).all())


class Samplers(unittest.TestCase):
    def setUp(self):
        self.session = session()
        self.session.evaluate(model().tokenize(PROMPT), hold=True)

    def test_from_a_session(self):
        best = lckv.Sampler().sample(self.session)
        banned = lckv.Sampler(logit_bias={best: float("-inf")})
        self.assertNotEqual(banned.sample(self.session), best)

    def test_state(self):
        sampler = lckv.Sampler(5.0, seed=3, presence_penalty=0.5)
        clone = sampler.clone()
        row = [sampler.sample(self.session) for _ in range(5)]
        self.assertEqual([clone.sample(self.session) for _ in range(5)], row)
        sampler.accept(row[0])
        sampler.reset()
        self.assertEqual([sampler.sample(self.session) for _ in range(5)], row)

    @needs_numpy
    def test_from_an_array(self):
        row = self.session.logits()[-1]
        self.assertEqual(lckv.Sampler().sample(row), int(row.argmax()))
        self.assertEqual(lckv.Sampler().sample(row.astype("float64").tolist()), int(row.argmax()))
        with self.assertRaises(ValueError):
            lckv.Sampler().sample(row[None])

    @needs_numpy
    def test_a_callback_changes_logits(self):
        kept = []

        def only(logits):
            kept.append(logits)
            logits[:] = -numpy.inf
            logits[77] = 0

        sampler = lckv.Sampler(callback=only)
        self.assertEqual(sampler.sample(self.session), 77)
        self.assertEqual(sampler.clone().sample(self.session), 77)
        del sampler
        gc.collect()
        self.assertEqual(kept[0][77], 0)
        self.assertEqual(self.session.logits().shape, (1, 4096))

    @needs_numpy
    def test_what_a_callback_raises(self):
        def refuse(logits):
            raise ZeroDivisionError("no")

        sampler = lckv.Sampler(callback=refuse)
        for _ in range(2):
            with self.assertRaisesRegex(ZeroDivisionError, "no"):
                sampler.sample(self.session)
        with self.assertRaises(ZeroDivisionError):
            self.session.complete([300], sampler=sampler)
        with self.assertRaises(ZeroDivisionError):
            list(self.session.generate([300], sampler=sampler))


class Lifetimes(unittest.TestCase):
    def test_closing(self):
        made = cache()
        s = made.session()
        with made:
            made.close()
        made.close()
        self.assertTrue(made.closed)
        self.assertEqual(repr(made), "<lckv.Cache, closed>")
        for call in (made.session, lambda: made.stats, made.cancel, made.__enter__):
            with self.assertRaisesRegex(ValueError, "the cache is closed"):
                call()
        s.evaluate([300], hold=True)
        self.assertEqual(s.cache.stats.n_sessions, 1)

    def test_any_order(self):
        opened = lckv.Model(os.fspath(pathlib.Path(__import__("support").MODEL)))
        made = lckv.Cache(opened, n_tokens=256)
        s = made.session()
        sampler, detokenizer, plan = lckv.Sampler(), opened.detokenizer(), opened.plan
        opened.close()
        made.close()
        del opened, made
        gc.collect()
        token = s.evaluate([300], hold=True) and sampler.sample(s)
        detokenizer.push(token)
        self.assertEqual(plan.info.n_layers, 12)

    def test_closing_while_another_thread_computes(self):
        made = cache()
        s = made.session()
        begun, texts = threading.Event(), []

        def work():
            texts.append(s.complete(PROMPT, max_tokens=40, ignore_end=True, on_token=lambda *_: begun.set()).tokens)

        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        s.close()
        made.close()
        del made
        gc.collect()
        thread.join()
        self.assertEqual(len(texts[0]), 40)

    def test_an_object_that_was_never_made(self):
        for kind, arguments in ((lckv.Model, ("/nowhere",)), (lckv.Plan, ("x", 1))):
            with self.assertRaises(lckv.Error):
                kind(*arguments)
        self.assertTrue(lckv.Model.__new__(lckv.Model).closed)

    def test_nothing_waits_for_the_garbage_collector(self):
        gc.collect()
        gc.disable()
        try:
            made = cache()
            s = made.session()
            kept = weakref.ref(made._handle)
            tokens = model().tokenize(PROMPT)
            s.evaluate(tokens, hold=True)
            s.complete([300], max_tokens=2, sampler=lckv.Sampler(logit_bias={5: 1.0}))
            s.generate([300], max_tokens=2).read()
            made.cost([lckv.Item(s, tokens)])
            s.save(io.BytesIO())
            with self.assertRaises(lckv.CacheFull):
                s.evaluate([300] * 5000, hold=True)
            s.close()
            made.close()
            del s, made
            self.assertIsNone(kept())
        finally:
            gc.enable()

    def test_memory_comes_back(self):
        made = cache(max_sessions=4)
        for _ in range(50):
            made.session().evaluate([300], hold=True)
        self.assertEqual(made.stats.n_sessions, 0)


class Saved(unittest.TestCase):
    def setUp(self):
        self.cache = cache()
        self.session = self.cache.session()
        self.session.evaluate(model().tokenize(PROMPT), hold=True)

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "talk.lckv")
            lckv.save_sessions([self.session, self.session.fork()], path, note=b"a\0b")
            sessions, note = lckv.restore_sessions(self.cache, path)
            self.assertEqual(note, b"a\0b")
            self.assertEqual([s.tokens for s in sessions], [self.session.tokens] * 2)
            with self.assertRaises(OSError):
                self.cache.restore(pathlib.Path(folder, "other"))

    def test_streams(self):
        stream = io.BytesIO()
        self.session.save(stream, note=b"x")
        stream.write(b"behind")
        stream.seek(0)
        [restored] = self.cache.restore(stream)
        self.assertEqual(stream.read(), b"behind")
        texts = [s.complete([300], max_tokens=8).text for s in (restored, self.session)]
        self.assertEqual(texts[0], texts[1])

    def test_more_sessions_than_the_cache_may_have(self):
        stream = io.BytesIO()
        lckv.save_sessions([self.session, self.session.fork(), self.session.fork()], stream)
        stream.seek(0)
        small = cache(max_sessions=2)
        with self.assertRaisesRegex(lckv.CacheFull, "3 sessions are saved here, but the cache has at most 2"):
            small.restore(stream)
        self.assertEqual(small.stats.n_sessions, 0)

    def test_streams_that_take_a_part_or_nothing(self):
        class Stream(io.RawIOBase):
            def __init__(self, takes):
                self.takes, self.data = takes, b""

            def write(self, data):
                n = self.takes(len(data))
                self.data += bytes(data[: n or 0])
                return n

        whole = io.BytesIO()
        self.session.save(whole)
        part = Stream(lambda n: n // 2 + 1)
        self.session.save(part)
        self.assertEqual(part.data, whole.getvalue())
        for nothing in (None, 0):
            with self.assertRaisesRegex(OSError, "took nothing of"):
                self.session.save(Stream(lambda n, nothing=nothing: nothing))

    def test_what_streams_raise(self):
        class Broken(io.RawIOBase):
            def write(self, data):
                raise TimeoutError("away")

            def read(self, n=-1):
                return "text"

        with self.assertRaisesRegex(TimeoutError, "away"):
            self.session.save(Broken())
        with self.assertRaisesRegex(TypeError, "gave str"):
            self.cache.restore(Broken())
        with self.assertRaises(lckv.BadFormat):
            self.cache.restore(io.BytesIO(b"no session at all" * 9))
        with self.assertRaises(ValueError):
            lckv.save_sessions([], io.BytesIO())
        self.assertEqual(self.cache.stats.n_sessions, 1)


if __name__ == "__main__":
    unittest.main()
