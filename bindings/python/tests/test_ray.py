"""Answers over a cluster: each exactly once, and those of a single process, whatever dies on the way.

Ray takes a while to start, so most of this runs only with LCKV_TEST_RAY=1.
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import signal
import tempfile
import threading
import unittest

from support import MODEL, model

import lckv

try:
    import pyarrow
    import ray

    import lckv.ray
    import lckv.ray.__main__
except ImportError:
    ray = None

MARK = "LCKV_TEST_RAY_MARK"  # tells the processes of this test from those of others
OPTIONS = {"threads": 1, "memory": "32MiB", "sessions": 10, "seed": 5}
needs_ray = unittest.skipIf(ray is None, "no ray")
needs_time = unittest.skipUnless(os.environ.get("LCKV_TEST_RAY"), "LCKV_TEST_RAY is not set")


def prompts(n):
    """Requests of several kinds and lengths."""

    made = []
    for i in range(n):
        request = {"prompt": f"{('Tom', 'Mia', 'Lily', 'Max')[i % 4]} had {i} red balls."}
        if i % 3 == 0:
            request["temperature"] = 0.9
        if i % 5 == 0:
            request.update(id=f"own-{i}", max_tokens=1 + i % 30)
        if i % 7 == 0:
            request["stop"] = ["."]
        made.append(request)
    return made


def expected(requests, name):
    """What `Engine.submit` alone gives for lines of a file with this name."""

    made = {}
    with lckv.Engine(model(), n_tokens=4096, n_threads=1) as engine:
        for number, request in enumerate(requests, 1):
            id = request.get("id", f"{name}:{number}")
            options = {"max_tokens": 12, "seed": lckv.ray.seed_of(id, OPTIONS["seed"]), **request}
            options.pop("id", None)
            choice = engine.submit(**options).result().choices[0]
            made[id] = (choice.text, choice.tokens, choice.reason)
    return made


def lines(path, requests):
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return str(path)


def table(rows):
    names = {name: None for row in rows for name in row}
    return pyarrow.table({name: [row.get(name) for row in rows] for name in names})


def workers():
    """The processes of this test's workers."""

    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_worker = (folder / "cmdline").read_bytes().startswith(b"ray::MapWorker(MapBatches(Answerer))")
            if is_worker and f"{MARK}={os.getpid()}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


@needs_ray
class Worker(unittest.TestCase):
    """Without Ray."""

    def setUp(self):
        self.answerer = lckv.ray.Answerer(str(MODEL), **OPTIONS, max_tokens=12)
        self.addCleanup(self.answerer.close)

    def test_a_block_has_the_answers_of_an_engine(self):
        requests = prompts(20)
        rows = [{"id": f"p:{i}", **request} for i, request in enumerate(requests, 1)]
        right = expected(requests, "p")
        for block in (table(rows), table(rows[::-1])):
            answers = self.answerer(block).to_pylist()
            self.assertEqual([answer["id"] for answer in answers], block["id"].to_pylist())
            for answer in answers:
                self.assertEqual((answer["text"], answer["tokens"], answer["reason"]), right[answer["id"]])
                self.assertEqual(answer["completion_tokens"], len(answer["tokens"]))
                self.assertIsNone(answer["error"])

    def test_numbers_of_tables_may_have_become_real(self):
        rows = [{"id": "a", "prompt": "Tom", "max_tokens": 3.0}, {"id": "b", "prompt": "Tom", "max_tokens": None}]
        self.assertEqual([len(answer["tokens"]) for answer in self.answerer(table(rows)).to_pylist()], [3, 12])

    def test_what_is_wrong_is_said_and_the_rest_goes_on(self):
        wrong = {
            "a line is no JSON:": b"{",
            "a line is no JSON object": b"[1]",
            "expected one of prompt, tokens and messages, found none": b"{}",
            "found prompt and tokens": b'{"prompt": "a", "tokens": [1]}',
            "no option 'max_token'": b'{"prompt": "a", "max_token": 3}',
            "max_tokens is 2.5; expected a whole number": b'{"prompt": "a", "max_tokens": 2.5}',
            "temperature is 'hot'; expected a number": b'{"prompt": "a", "temperature": "hot"}',
            "stop is ['']": b'{"prompt": "a", "stop": [""]}',
            "ignore_end is 1": b'{"prompt": "a", "ignore_end": 1}',
            "prompt is 5; expected a string": b'{"prompt": 5}',
            "99999 is no token of the model": b'{"tokens": [99999]}',
            "tokens is 'a'; expected a list": b'{"tokens": "a"}',
            "no chat template": b'{"messages": [{"role": "user", "content": "a"}]}',
            "messages has something else": b'{"messages": ["a"]}',
            "surrogates not allowed": b'{"prompt": "\\ud800"}',
        }
        good = {"id": "good", "request": b'{"id": "good", "prompt": "Once"}'}
        rows = [{"id": str(i), "request": line} for i, line in enumerate(wrong.values())]
        answers = self.answerer(table([*rows, good])).to_pylist()
        for said, answer in zip(wrong, answers):
            self.assertIn(said, answer["error"])
            self.assertEqual((answer["reason"], answer["text"], answer["tokens"]), ("error", "", []))
        self.assertEqual((answers[-1]["error"], len(answers[-1]["tokens"])), (None, 12))
        with self.assertRaisesRegex(ValueError, "a prompt has no id"):
            self.answerer(table([{"prompt": "Once"}]))
        with self.assertRaisesRegex(ValueError, "no option 'max_token'"):
            lckv.ray.Answerer(str(MODEL), max_token=3)

    def test_a_model_is_fetched_once(self):
        with tempfile.TemporaryDirectory() as folder:
            source, cache = pathlib.Path(folder, "shared"), pathlib.Path(folder, "cache")
            source.mkdir()
            (source / "model.gguf").write_bytes(b"weights")
            uri = (source / "model.gguf").as_uri()
            path = lckv.ray.fetch(uri, str(cache))
            self.assertEqual(pathlib.Path(path).read_bytes(), b"weights")
            self.assertEqual(pathlib.Path(path).name, "model.gguf")
            (source / "model.gguf").unlink()
            self.assertEqual(lckv.ray.fetch(uri, str(cache)), path)
            (source / "part.safetensors").write_bytes(b"more")
            copy = lckv.ray.fetch(source.as_uri() + "/", str(cache))
            self.assertEqual(os.listdir(copy), ["part.safetensors"])
            with self.assertRaises(OSError):
                lckv.ray.fetch((source / "nothing").as_uri(), str(cache))
            self.assertEqual(lckv.ray.fetch("models/model.gguf"), "models/model.gguf")

    def test_help(self):
        with contextlib.redirect_stdout(io.StringIO()) as out, self.assertRaises(SystemExit):
            lckv.ray.__main__.main(["--help"])
        self.assertIn("examples:", out.getvalue())


@needs_ray
@needs_time
class Cluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ[MARK] = str(os.getpid())
        ray.init(num_cpus=4, include_dashboard=False, logging_level="error", log_to_driver=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.wait_for_min_actors_s = 300  # so that all workers are there before the first block is handed out
        logging.getLogger("ray.data").setLevel(logging.ERROR)

    @classmethod
    def tearDownClass(cls):
        ray.shutdown()

    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = pathlib.Path(made.name)

    def test_each_prompt_has_one_answer_though_a_worker_is_killed(self):
        requests = prompts(200)
        path = lines(self.folder / "p.jsonl", requests)
        made = lckv.ray.answer(lckv.ray.read(path), str(MODEL), workers=2, max_tokens=12, **OPTIONS)
        answers, killed = [], None
        for block in made.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            if killed is None:
                running = workers()
                self.assertEqual(len(running), 2)
                killed = running[0]
                os.kill(killed, signal.SIGKILL)
            answers += block.to_pylist()
        self.assertIsNotNone(killed)
        found = {row["id"]: (row["text"], row["tokens"], row["reason"]) for row in answers}
        self.assertEqual(len(answers), 200)
        self.assertEqual(found, expected(requests, "p.jsonl"))
        self.assertNotIn(killed, workers())

    def test_any_dataset_has_answers(self):
        rows = [{"id": f"p:{i}", "temperature": None, **request} for i, request in enumerate(prompts(40), 1)]
        read = ray.data.from_arrow(table(rows)).map_batches(lambda block: block, batch_size=20, batch_format="pyarrow")
        made = lckv.ray.answer(read, MODEL.as_uri(), model_cache=str(self.folder), max_tokens=12, **OPTIONS)
        made = made.materialize()
        self.assertEqual(made.num_blocks(), 4)  # and not one, in one task
        found = {row["id"]: (row["text"], row["tokens"], row["reason"]) for row in made.take_all()}
        self.assertEqual(found, expected(prompts(40), "p"))

    def test_a_command_goes_on_where_it_was(self):
        requests = prompts(60)
        folder, output = self.folder / "prompts", self.folder / "answers"
        folder.mkdir()
        lines(folder / "a.jsonl", requests[:25])
        lines(folder / "b.jsonl", requests[25:])
        right = {**expected(requests[:25], "a.jsonl"), **expected(requests[25:], "b.jsonl")}
        command = [str(MODEL), str(folder), "-o", str(output), "-w", "2", "-s", "10", "-n", "12", "--seed", "5"]
        command += ["--memory", "32MiB", "--rows-per-file", "20", "--cpus", "1"]

        def run(*more):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = lckv.ray.__main__.main([*command, *more])
            return status, out.getvalue(), err.getvalue()

        def found():
            rows = [json.loads(line) for file in output.glob("*.json") for line in file.read_text().splitlines()]
            self.assertEqual(len({row["id"] for row in rows}), len(rows))
            return {row["id"]: (row["text"], row["tokens"], row["reason"]) for row in rows}

        command[0] = "/nowhere.gguf"
        status, _, err = run()
        self.assertEqual(status, 1)
        self.assertRegex(err, "python -m lckv.ray: .*/nowhere.gguf: cannot open: No such file or directory\n$")
        command[0] = str(MODEL)

        def kill_one():
            """As soon as there are answers in a file."""

            while not ended.wait(0.05):
                if list(output.glob("*.json")):
                    for worker in workers()[:1]:
                        os.kill(worker, signal.SIGKILL)
                    return

        ended = threading.Event()
        killer = threading.Thread(target=kill_one)
        killer.start()
        status, out, _ = run()
        ended.set()
        killer.join()
        self.assertEqual(status, 0)
        self.assertRegex(out, r"(?m)^60 answers, [0-9]+ tokens in ")
        self.assertEqual(found(), right)
        files = sorted(output.glob("*.json"))
        self.assertEqual(len(files), 3)
        files[0].unlink()  # as if it had not been written yet
        text = files[1].read_text()
        files[1].write_text(text[: len(text) * 2 // 3])  # as if the disk had been full
        status, out, err = run()
        self.assertEqual(status, 0)
        self.assertRegex(err, "[0-9]+ answers are there already")
        self.assertEqual(found(), right)
        self.assertRegex(run()[1], "(?m)^0 answers")
        status, _, err = run("--temp", "0.5")
        self.assertEqual(status, 1)
        self.assertIn("are of temperature 0.0, and now it is 0.5", err)
        self.assertEqual(found(), right)


if __name__ == "__main__":
    unittest.main()
