#!/usr/bin/env python3
"""Holds lckv's ids against the vectors that llama.cpp publishes, all of them.

    pip download --no-binary llama-cpp-python --no-deps llama-cpp-python     and unpack it
    make build/tests/unit/tokenize build/tests/unit/round_trip
    python3 tests/tokenizers/check_llama_cpp.py .../vendor/llama.cpp/models

Each ggml-vocab-NAME.gguf with an .inp and an .out beside it must give the same ids, or be refused because of its kind.
So must the tokenizer that lckv writes into GGUF metadata, and a megabyte of any text must take less than SECONDS. The
last two hold for vocabularies without .inp and .out, too.
"""
import glob
import os
import sys

import pipelines
from fuzz_sentencepiece import lckv_round_trip
from lckv_tokens import NO_BOS, NO_SPECIAL, lckv_tokens

SEPARATOR = "\n__ggml_vocab_test__\n"
SECONDS = 2


def troubles(path):
    """What goes wrong with long texts, and with some texts when the tokenizer is written and read again."""
    results = lckv_round_trip(path, "0", [t.encode() for t in ("", " a  b\n\n\n", "caf\u00e9 \u4f60\u597d 123 <s> don't")])
    wrong = [result for result in results if isinstance(result, str)]
    if wrong and "is not supported" in wrong[0]:
        return []
    return wrong + [ids for ids in lckv_tokens(path, pipelines.long_texts(), 0, SECONDS) if isinstance(ids, str)]


def main(folder):
    failed = 0
    for path in sorted(glob.glob(os.path.join(folder, "ggml-vocab-*.gguf"))):
        trouble = troubles(path)
        if trouble:
            failed += 1
            print(f"{os.path.basename(path)}: {trouble[0]}")
        if not os.path.exists(path + ".inp"):
            continue
        with open(path + ".inp", encoding="utf-8", newline="") as file:
            texts = file.read().split(SEPARATOR)
        with open(path + ".out", encoding="utf-8") as file:
            lines = file.read().split("\n")
        texts = texts[:-1] if texts[-1] == "" else texts
        expected = [[int(i) for i in line.split()] for line in lines[:len(texts)]]
        got = lckv_tokens(path, texts, NO_SPECIAL | NO_BOS)
        wrong = [i for i in range(len(texts)) if got[i] != expected[i]]
        name = os.path.basename(path)
        if wrong and isinstance(got[0], str) and "is not supported" in got[0]:
            print(f"{name}: refused: {got[0]}")
        elif wrong:
            failed += 1
            print(f"{name}: {len(wrong)} of {len(texts)} are wrong; the first is {texts[wrong[0]]!r}:\n"
                  f"    got      {got[wrong[0]]}\n    expected {expected[wrong[0]]}")
        else:
            print(f"{name}: {len(texts)} texts are right")
    return failed


sys.exit(main(sys.argv[1]) != 0)
