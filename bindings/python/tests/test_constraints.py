"""Texts that follow JSON schemas, regular expressions and grammars."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from support import MODEL, PROMPT, ROOT, cache, model, needs_llguidance, needs_numpy, numpy

import lckv
from lckv import constraints

CAT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 30},
        "kind": {"enum": ["cat", "dog"]},
        "likes": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
    },
    "required": ["name", "age", "kind", "likes"],
    "additionalProperties": False,
}


def engine():
    return lckv.Engine(model(), n_tokens=4096, max_sessions=16, n_threads=1)


@needs_llguidance
class Grammars(unittest.TestCase):
    def check_cat(self, text):
        cat = json.loads(text)
        self.assertEqual(list(cat), ["name", "age", "kind", "likes"])
        self.assertLessEqual(len(cat["name"]), 12)
        self.assertTrue(0 <= cat["age"] <= 30)
        self.assertIn(cat["kind"], ("cat", "dog"))
        self.assertLessEqual(len(cat["likes"]), 2)
        return cat

    def test_json_schemas(self):
        grammar = constraints.json_schema(model(), CAT)
        with engine() as made:
            options = dict(constraint=grammar, temperature=1.0, max_tokens=120, n=2)
            jobs = [made.submit("A cat called Tom: ", seed=seed, **options) for seed in range(0, 16, 2)]
            texts = [choice.text for job in jobs for choice in job.result(600).choices]
            self.assertEqual({choice.reason for job in jobs for choice in job.result().choices}, {"end"})
        for text in texts:
            self.assertEqual(text, json.dumps(self.check_cat(text), ensure_ascii=False))
        self.assertGreater(len(set(texts)), 8)
        for how in ("complete", "generate"):
            sampler = lckv.Sampler(1.0, seed=4, constraint=grammar())
            made = getattr(cache().session(), how)("A cat called Tom: ", max_tokens=120, sampler=sampler)
            text = made.text if how == "complete" else made.read()
            self.assertEqual(text, texts[4])

    def test_white_space(self):
        grammar = constraints.json_schema(model(), CAT, whitespace=True)
        match = grammar()
        for token in model().tokenize('{\n "name" : "Tom",\t"age":3, "kind":"cat","likes":[ ]}', bos=False):
            match.accept(token)
        self.assertTrue(match.is_complete)
        tight = constraints.json_schema(model(), CAT)()
        with self.assertRaises(lckv.InvalidArgument):
            for token in model().tokenize('{\n "name"', bos=False):
                tight.accept(token)

    def test_any_object(self):
        with engine() as made:
            grammar = constraints.json_object(model())
            results = [made.submit(PROMPT, constraint=grammar, temperature=1.0, seed=i).result(600) for i in range(6)]
        for result in results:
            if result.choices[0].reason == "end":
                self.assertIsInstance(json.loads(result.text), dict)

    def test_regular_expressions(self):
        pattern = r"[0-9]{4}-[01][0-9]|(cat|dog)s?"
        with engine() as made:
            grammar = constraints.regex(model(), pattern)
            for seed in range(12):
                choice = made.submit(PROMPT, constraint=grammar, temperature=1.5, seed=seed).result(600).choices[0]
                self.assertEqual(choice.reason, "end")
                self.assertRegex(choice.text, f"^({pattern})$")

    def test_grammars(self):
        grammar = constraints.lark(model(), 'start: "a" start "b" | "ab"')
        with engine() as made:
            choice = (
                made.submit(PROMPT, constraint=grammar, temperature=1.0, seed=2, max_tokens=60).result(600).choices[0]
            )
        match = re.fullmatch("(a+)(b*)", choice.text)
        self.assertIsNotNone(match)
        self.assertEqual(choice.reason == "end", len(match[1]) == len(match[2]))

    def test_characters_of_several_tokens(self):
        grammar = constraints.regex(model(), "[äöü日本]{3}")
        with engine() as made:
            for seed in range(4):
                choice = made.submit(PROMPT, constraint=grammar, temperature=1.0, seed=seed).result(600).choices[0]
                self.assertRegex(choice.text, "^[äöü日本]{3}$")

    def test_vocabularies_of_other_kinds(self):
        text = '{"name": "Jürgen 日本 x", "n": -12}'
        schema = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}
        for name in ("spaced/llama", "spaced/gemma", "spaced/mistral", "llama3", "smollm"):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                shutil.copy(ROOT / f"tests/data/text/{name}.json", pathlib.Path(folder, "tokenizer.json"))
                other = lckv.Model(folder, weights="none")
                match = constraints.json_schema(other, schema)()
                logits = numpy.zeros(other.info.n_vocab, dtype="float32")
                for token in constraints._Vocabulary(other)(text):
                    match.mask(logits)
                    self.assertTrue(numpy.isfinite(logits[token]), other.token(token))
                    match.accept(token)
                    logits.fill(0)
                self.assertTrue(match.is_complete)

    def test_all_ends_of_a_model_end_a_text(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / "tests/data/text/llama3.json", pathlib.Path(folder, "tokenizer.json"))
            pathlib.Path(folder, "generation_config.json").write_text('{"eos_token_id": [1, 3]}')
            other = lckv.Model(folder, weights="none")
            ends = [token for token in range(other.info.n_vocab) if other.is_end(token)]
            self.assertGreater(len(ends), 1)
            match = constraints.regex(other, "a+")()
            for is_allowed in (False, True):
                logits = numpy.zeros(other.info.n_vocab, dtype="float32")
                match.mask(logits)
                self.assertEqual(numpy.isfinite(logits[ends]).tolist(), [is_allowed] * len(ends))
                match.accept(other.tokenize("a", bos=False)[0])
            match.accept(ends[-1])

    def test_what_is_no_grammar(self):
        for call, wrong in (
            (constraints.json_schema, {"type": "strin"}),
            (constraints.json_schema, "{"),
            (constraints.regex, "a("),
            (constraints.lark, "start:: x"),
        ):
            with self.assertRaises(lckv.InvalidArgument):
                call(model(), wrong)

    def test_what_needs_too_much_work(self):
        """It ends by an error, and those beside it go on."""

        pattern = "(.*[ab].{60}.*){3}"
        with engine() as made:
            alone = made.submit(PROMPT, max_tokens=60).result(600).text
            beside = made.submit(PROMPT, max_tokens=60)
            for grammar, what in (
                (constraints.json_schema(model(), {"type": "string", "pattern": pattern}), "schema"),
                (constraints.regex(model(), pattern), "pattern"),
                (constraints.lark(model(), f"start: /{pattern}/"), "grammar"),
            ):
                job = made.submit(PROMPT, constraint=grammar, temperature=1.0, seed=1, n=4, max_tokens=2000)
                with self.assertRaisesRegex(lckv.InvalidArgument, f"the {what} needs too much work: .*too many"):
                    job.result(60)
                self.assertLess(job.n_generated, 1000)
            items = "start: " + " | ".join(f"r{i}" for i in range(3000)) + "".join(f'\nr{i}: "a"' for i in range(3000))
            with self.assertRaisesRegex(lckv.InvalidArgument, "the grammar needs too much work: "):
                made.submit(PROMPT, constraint=constraints.lark(model(), items)).result(60)
            self.assertEqual(beside.result(60).text, alone)

    def test_work_that_is_too_much_in_the_long_run(self):
        match = constraints.regex(model(), "a+")()
        [a] = model().tokenize("a", bos=False)
        with unittest.mock.patch.object(constraints, "SECONDS_A_TOKEN", -0.1):
            match.reset()
            with self.assertRaisesRegex(lckv.InvalidArgument, "the pattern needs too much work: .* too long"):
                for _ in range(9):
                    match.mask(numpy.zeros(model().info.n_vocab, dtype="float32"))
                    match.accept(a)

    def test_patterns_that_people_write(self):
        fields = {
            "mail": r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$",
            "phone": r"^\+?[0-9]{1,3}[ -]?\(?[0-9]{2,4}\)?([ -]?[0-9]{2,4}){2,4}$",
            "title": r"^\p{L}[\p{L} .-]{1,80}$",
            "story": r"^(\w+ ){3,40}\w+\.$",
            "find": "cat.*dog",
        }
        texts = [{"type": "string", "pattern": pattern} for pattern in fields.values()]
        schema = {"type": "array", "prefixItems": [*texts, {"type": "string", "minLength": 9, "maxLength": 3000}]}
        match = constraints.json_schema(model(), schema)()
        values = [
            "tom.cat@mice.org",
            "+49 89 1234 5678",
            "Die Maus",
            "she saw a cat.",
            "a cat and a dog",
            400 * "a mouse",
        ]
        for token in constraints._Vocabulary(model())(json.dumps(values)):
            match.mask(numpy.zeros(model().info.n_vocab, dtype="float32"))
            match.accept(token)
        self.assertTrue(match.is_complete)

    def test_a_match_begins_again(self):
        match = constraints.regex(model(), "ab?")()
        logits = numpy.zeros(model().info.n_vocab, dtype="float32")
        match.mask(logits)
        [a] = model().tokenize("a", bos=False)
        allowed = numpy.flatnonzero(numpy.isfinite(logits))
        self.assertIn(a, allowed)
        self.assertTrue(all(model().token(int(token)).text in (b"a", b"ab") for token in allowed))
        match.accept(a)
        logits.fill(0)
        match.mask(logits)
        self.assertTrue(numpy.isfinite(logits[model().eos]))
        match.reset()
        again = numpy.zeros(model().info.n_vocab, dtype="float32")
        match.mask(again)
        self.assertEqual(numpy.flatnonzero(numpy.isfinite(again)).tolist(), allowed.tolist())


class Without(unittest.TestCase):
    @needs_numpy
    def test_it_says_what_to_install(self):
        code = (
            "import sys; sys.modules['llguidance'] = None\n"
            "import lckv\n"
            "try: lckv.constraints.regex(lckv.Model(sys.argv[1]), 'a')\n"
            "except ImportError as error: print(error)"
        )
        output = subprocess.run([sys.executable, "-c", code, MODEL], capture_output=True, text=True, check=True).stdout
        self.assertIn("pip install lckv[constraints]", output)


if __name__ == "__main__":
    unittest.main()
