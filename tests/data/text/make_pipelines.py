#!/usr/bin/env python3
"""Makes pipelines.json: what stands before the model, in all the ways of tests/tokenizers/pipelines.py, and hashes of
the ids that Hugging Face's tokenizers gives with them.

    pip install tokenizers==0.23.3
    python3 tests/data/text/make_pipelines.py     (from the root of the repository, after make_goldens.py)
"""
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tokenizers"))
sys.dont_write_bytecode = True

from tokenizers import Tokenizer  # noqa: E402

import pipelines  # noqa: E402

N_TEXTS = 48


def hash_ids(ids):
    """FNV-1a of the ids as the tests print them."""
    value = 2166136261
    for byte in "".join(f"{i} " for i in ids).encode():
        value = (value ^ byte) * 16777619 % 2**32
    return f"{value:08x}"


def reference(tokenizer, text):
    """A hash of the ids, or blanks for texts on which the reference panics."""
    try:
        return hash_ids(tokenizer.encode(text).ids)
    except BaseException as error:  # pyo3's panics are no Exceptions
        if "PanicException" not in type(error).__name__:
            raise
        return " " * 8


def main():
    with open(os.path.join(HERE, "gpt2.json"), encoding="utf-8") as file:
        base = json.load(file)
    model = {name: base["model"][name] for name in ("type", "vocab", "merges")}
    rng = random.Random(5)
    texts = [pipelines.random_text(rng)[:40] for _ in range(N_TEXTS)]
    parts = []
    for name, members in pipelines.ALL.items():
        described = pipelines.tokenizer_json({"model": model}, members)
        tokenizer = Tokenizer.from_str(json.dumps(described))
        parts.append({"name": name, "normalizer": described["normalizer"], "pre_tokenizer": described["pre_tokenizer"],
                      "added_tokens": described["added_tokens"], "ignore_merges": "ignore_merges" in described["model"],
                      "hashes": "".join(reference(tokenizer, text) for text in texts)})

    def compact(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    with open(os.path.join(HERE, "pipelines.json"), "w", encoding="utf-8") as file:
        file.write('{"model":' + compact(model) + ',\n"texts":' + json.dumps(texts) + ',\n"pipelines":[\n' +
                   ",\n".join(compact(part) for part in parts) + "\n]}\n")


main()
