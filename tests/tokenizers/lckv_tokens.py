"""Tokenizes with build/tests/unit/tokenize, which make builds from tests/unit/tokenize.c."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("LCKV_TOKENIZE", os.path.join(HERE, "..", "..", "build", "tests", "unit", "tokenize"))
NO_SPECIAL, BOS, NO_BOS = 1, 2, 4  # the flags of lckv_tokenize


def lckv_tokens(path, texts, flags=0, seconds=0):
    """A list of ids for each text, or a string that tells why there is none. With `seconds`, a list of one number, how
    many ids there are, or a string for a text that takes longer."""
    data = b"".join(b"%d\n" % len(t) + t for t in (x if isinstance(x, bytes) else x.encode() for x in texts))
    done = subprocess.run([PROGRAM, path, str(flags), str(seconds)], input=data, capture_output=True, check=True)
    lines = done.stdout.decode(errors="replace").split("\n")[:-1]
    if len(lines) == 1 and lines[0].startswith("error"):
        return lines * len(texts)
    assert len(lines) == len(texts), (len(lines), len(texts), done.stderr)
    return [line if line.startswith("error") else [int(i) for i in line.split()] for line in lines]
