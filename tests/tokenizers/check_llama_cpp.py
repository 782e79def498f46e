#!/usr/bin/env python3
"""Holds lckv's ids against the vectors that llama.cpp publishes, all of them.

    pip download --no-binary llama-cpp-python --no-deps llama-cpp-python     and unpack it
    make build/tests/unit/tokenize
    python3 tests/tokenizers/check_llama_cpp.py .../vendor/llama.cpp/models

Each ggml-vocab-NAME.gguf with an .inp and an .out beside it must give the same ids, or be refused because of its kind.
"""
import glob
import os
import sys

from lckv_tokens import NO_BOS, NO_SPECIAL, lckv_tokens

SEPARATOR = "\n__ggml_vocab_test__\n"


def main(folder):
    failed = 0
    for path in sorted(glob.glob(os.path.join(folder, "ggml-vocab-*.gguf"))):
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
