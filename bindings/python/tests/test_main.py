"""python -m lckv, the README, and what the package needs."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import gguf_edit
from support import MODEL, PROMPT, ROOT, session

import lckv

CHATML = (
    "{% for message in messages %}{{ bos_token + message['role'] + '\n' + message['content'] + eos_token + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ bos_token + 'assistant\n' }}{% endif %}"
)


def run(*arguments, text="", code=0):
    done = subprocess.run(
        [sys.executable, "-m", "lckv", *map(str, arguments)],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stdout if code == 0 else done.stderr


class Command(unittest.TestCase):
    def test_it_continues_a_text(self):
        expected = PROMPT + session().complete(PROMPT, max_tokens=12).text + "\n"
        self.assertEqual(run(MODEL, "-p", PROMPT, "-n", 12), expected)
        self.assertEqual(run(MODEL, "-n", 12, text=PROMPT), expected)
        self.assertEqual(run(MODEL, "-p", "-", "-n", 12, text=PROMPT), expected)

    def test_it_chats(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "chat.gguf")
            path.write_bytes(gguf_edit.with_metadata(MODEL.read_bytes(), {"tokenizer.chat_template": CHATML}))
            first = run(path, "-n", 8, text="Tell a story.\n")
            both = run(path, "-n", 8, "--system", "", text="Tell a story.\n\nAnd then?\n")
            self.assertTrue(both.startswith(first) and len(both) > len(first))
            self.assertEqual(run(path, "-n", 8, text="Tell a story.\n/reset\nTell a story.\n/exit\n"), 2 * first)

    def test_mistakes(self):
        self.assertIn("/nowhere", run("/nowhere", "-p", "x", code=1))
        self.assertIn("usage", run(code=2))
        self.assertIn(lckv.version(), run("--version"))


class Package(unittest.TestCase):
    def test_the_example_of_plans(self):
        example = ROOT / "bindings/python/examples/plot_plans.py"
        hidden = "import runpy, sys; sys.modules['matplotlib'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", hidden, example], stdout=subprocess.PIPE, check=True, text=True)
        rows = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual([row[-3] for row in rows], ["8192", "16", "32", "58", "170"])  # as in lckv's own README

    def test_numpy_is_imported_only_for_arrays(self):
        program = (
            "import sys, lckv\nm = lckv.Model(sys.argv[1])\n"
            "print(len(lckv.Cache(m).session().generate('Once', max_tokens=3).read()) > 0, 'numpy' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program, MODEL], stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.split(), [b"True", b"False"])

    def test_the_programs_of_the_readme(self):
        text = (ROOT / "bindings/python/README.md").read_text(encoding="utf-8")
        programs = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertGreater(len(programs), 5)
        names = {"__name__": "readme"}
        with tempfile.TemporaryDirectory() as folder:
            here = os.getcwd()
            os.chdir(folder)
            try:
                os.symlink(MODEL, "stories-lckv-q8_0.gguf")
                stdout, sys.stdout = sys.stdout, open(os.devnull, "w")
                try:
                    for program in programs:
                        if "numpy" in program and __import__("support").numpy is None:
                            continue
                        exec(compile(program, "README.md", "exec"), names)
                finally:
                    sys.stdout.close()
                    sys.stdout = stdout
            finally:
                os.chdir(here)

    def test_the_program_of_the_page_on_scale(self):
        text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
        program, printed = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", text, re.S).groups()
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(program, "scale.md", "exec"), {})
        self.assertEqual(out.getvalue(), printed)

    def test_every_public_name_teaches(self):
        for name in lckv.__all__:
            found = getattr(lckv, name)
            if name in ("Message", "__version__"):  # a type and a text
                continue
            self.assertTrue(found.__doc__, name)
            for member, value in vars(found).items() if isinstance(found, type) else ():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    self.assertTrue(value.__doc__, f"{name}.{member}")


if __name__ == "__main__":
    unittest.main()
