"""What tests share: the bundled model, opened once."""

import functools
import os
import pathlib
import unittest

import lckv

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL = pathlib.Path(os.environ.get("LCKV_TEST_MODEL", ROOT / "examples/models/stories-lckv-q8_0.gguf")).resolve()
PROMPT = "Once upon a time"

try:
    import numpy
except ImportError:
    numpy = None

try:
    import jinja2
except ImportError:
    jinja2 = None

try:
    import llguidance
except ImportError:
    llguidance = None

needs_llguidance = unittest.skipIf(llguidance is None or numpy is None, "no llguidance or no numpy")
needs_numpy = unittest.skipIf(numpy is None, "no numpy")
needs_jinja = unittest.skipIf(jinja2 is None, "no jinja2")


@functools.lru_cache(maxsize=None)
def model():
    return lckv.Model(MODEL)


def cache(**options):
    options.setdefault("n_tokens", 1024)
    options.setdefault("max_sessions", 8)
    return lckv.Cache(model(), **options)


def session(**options):
    return cache(**options).session()
