#!/usr/bin/env python3
"""Holds lckv's ids and texts against those of SentencePiece and of Hugging Face's tokenizers.

    pip install sentencepiece==0.2.3 tokenizers==0.23.3
    make build/tests/unit/round_trip
    python3 tests/tokenizers/fuzz_sentencepiece.py [TEXTS_FOR_EACH=500] [SEED=1] [KIND...]

It trains a small vocabulary for each kind, makes random texts, and compares ids and detokenized texts. For each
kind lckv also reads the tokenizer that it writes into GGUF metadata; it must give the same ids. Without names, 100
mixtures of normalisers are compared, too.
"""
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "build", "tests", "unit", "round_trip")


def lckv_round_trip(path, flags, texts):
    """A pair of ids and bytes for each text, or a string that tells what went wrong."""
    data = b"".join(b"%d\n" % len(t) + t for t in texts)
    done = subprocess.run([PROGRAM, path, flags], input=data, capture_output=True)
    results = []
    for line in done.stdout.decode().split("\n")[:-1]:
        ids, tab, text = line.partition("\t")
        results.append(([int(i) for i in ids.split()], bytes.fromhex(text)) if tab else line)
    return results if len(results) == len(texts) else [results[0] if results else done.stderr] * len(texts)


def reference(encode, text):
    """The ids; None for the texts on which the reference itself panics (some that it prefixes or trims)."""
    try:
        return encode(text)
    except BaseException as error:  # pyo3's panics are no Exceptions
        if "PanicException" not in type(error).__name__:
            raise
        return None


def same_text(got, expected):
    """References write U+FFFD for bytes that are no UTF-8; lckv gives the bytes."""
    return "\ufffd" in expected or got == expected.encode()


def main(count=500, seed=1, *names):
    import kinds  # needs the references; check_llama_cpp.py does not
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        mixed = kinds.mixtures(0 if names else 100, random.Random(seed))
        for name, make in ({name: kinds.ALL[name] for name in names} or {**kinds.ALL, **mixed}).items():
            path, flags, encode, decode = make(folder)
            rng = random.Random(f"{seed} {name}")
            texts = [kinds.random_text(rng) for _ in range(int(count))]
            got = lckv_round_trip(path, flags, [t.encode() for t in texts])
            wrong = []
            for text, result in zip(texts, got):
                ids = reference(encode, text)
                if ids is None:
                    continue
                if isinstance(result, str) or result[0] != ids:
                    wrong.append((text, result, ids))
                elif decode and not same_text(result[1], decode(ids)):
                    wrong.append((text, result, decode(ids)))
            print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} agree")
            if wrong:
                failed += 1
                text, result, expected = min(wrong, key=lambda w: len(w[0]))
                print(f"    {text!a}\n    got      {result!a}\n    expected {expected!a}")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) != 0)
