#!/usr/bin/env python3
"""Measures the time that a megabyte of any text takes with each pipeline of pipelines.py: at most SECONDS.

    make build/tests/unit/tokenize
    python3 tests/tokenizers/check_speed.py [SECONDS=2] [PIPELINE...]
"""
import json
import os
import sys
import tempfile

import pipelines
from lckv_tokens import HERE, lckv_tokens


def main(seconds=2, *names):
    with open(os.path.join(HERE, "..", "data", "text", "gpt2.json"), encoding="utf-8") as file:
        base = json.load(file)
    texts = pipelines.long_texts()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        for name in names or pipelines.ALL:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(pipelines.tokenizer_json(base, pipelines.ALL[name]), file)
            slow = [(text[:8], ids) for text, ids in zip(texts, lckv_tokens(path, texts, 0, seconds)) if isinstance(ids, str)]
            if name in pipelines.QUADRATIC:
                slow = [] if slow and all("too many steps" in ids for _, ids in slow) else ["nothing is refused"]
            if slow:
                failed += 1
                print(f"{name}: {slow!a}")
    print(f"{len(names or pipelines.ALL) - failed} passed, {failed} failed")
    return failed


sys.exit(main(*sys.argv[1:]) != 0)
