#!/usr/bin/env python3
"""Holds lckv's ids against those of Hugging Face's tokenizers, on random texts: for each pipeline of pipelines.py,
for mixtures of their steps, and for GGUF files that name one.

    pip install tokenizers==0.23.3 gguf
    make build/tests/unit/tokenize
    python3 tests/tokenizers/fuzz_huggingface.py [TEXTS_FOR_EACH=500] [SEED=1] [PIPELINE...]
"""
import json
import os
import random
import sys
import tempfile

from tokenizers import Tokenizer

import pipelines
from lckv_tokens import HERE, NO_BOS, lckv_tokens


def reference(tokenizer, text):
    """The ids; None for the texts on which the reference itself panics (some that it prefixes or trims)."""
    try:
        return tokenizer.encode(text).ids
    except BaseException as error:  # pyo3's panics are no Exceptions
        if "PanicException" not in type(error).__name__:
            raise
        return None


def compare(name, path, tokenizer, count, seed):
    """False, with a line that says more, if the ids of the file's tokenizer differ from the reference's."""
    rng = random.Random(f"{seed} {name}")
    texts = [pipelines.random_text(rng) for _ in range(count)]
    expected = [reference(tokenizer, text) for text in texts]
    got = lckv_tokens(path, texts, NO_BOS)
    wrong = [i for i in range(len(texts)) if expected[i] is not None and got[i] != expected[i]]
    if None in expected:
        print(f"{name}: the reference panics on {expected.count(None)} of {len(texts)}")
    if wrong:
        worst = min(wrong, key=lambda i: len(texts[i]))
        print(f"{name}: {len(wrong)} of {len(texts)} are wrong, such as {texts[worst]!a}:\n"
              f"    got      {got[worst]}\n    expected {expected[worst]}")
    return not wrong


def main(count=500, seed=1, *names):
    with open(os.path.join(HERE, "..", "data", "text", "gpt2.json"), encoding="utf-8") as file:
        base = json.load(file)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        rng = random.Random(seed)
        mixed = {f"mixture {i}": pipelines.random_pipeline(rng) for i in range(0 if names else 200)}
        for name, members in {**{name: pipelines.ALL[name] for name in names or pipelines.ALL}, **mixed}.items():
            text = json.dumps(pipelines.tokenizer_json(base, members))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            results.append(compare(name, path, Tokenizer.from_str(text), int(count), seed))
        path = os.path.join(folder, "tokenizer.gguf")
        for name, pipeline in ({} if names else pipelines.GGUF_NAMES).items():
            members = dict(pipelines.ALL[pipeline], normalizer=None)
            tokenizer = Tokenizer.from_str(json.dumps(pipelines.tokenizer_json(base, members)))
            pipelines.write_gguf(path, base, name)
            results.append(compare(f"GGUF with {name}", path, tokenizer, int(count), seed))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return not all(results)


sys.exit(main(*sys.argv[1:]))
