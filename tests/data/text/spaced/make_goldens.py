#!/usr/bin/env python3
"""Makes the small tokenizers in this folder, and goldens.json: ids and texts that their references give with them.

    pip install sentencepiece==0.2.3 tokenizers==0.23.3
    python3 tests/data/text/spaced/make_goldens.py     (from the root of the repository)
"""
import json
import os
import random
import sys
import tempfile

from sentencepiece import sentencepiece_model_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "tokenizers"))
import kinds  # noqa: E402

RULES = os.path.join(HERE, "rules.tsv")
KINDS = {
    "bpe.model": kinds.sentencepiece_kind(
        "bpe", model_type="bpe", byte_fallback=True, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
        user_defined_symbols=["<br>", "New York", kinds.MARK * 3]),
    "rules.model": kinds.sentencepiece_kind("rules", model_type="bpe", normalization_rule_tsv=RULES),
    "unigram.model": kinds.sentencepiece_kind(
        "unigram", model_type="unigram", normalization_rule_tsv=RULES, user_defined_symbols=["<br>", "an"]),
    "llama.json": kinds.ALL["json-llama"],
    "mistral.json": kinds.ALL["json-mistral"],
    "gemma.json": kinds.ALL["json-gemma"],
    "unknown.json": kinds.ALL["json-unknowns"],
    "unigram.json": kinds.ALL["json-unigram-trained"],
    "white.json": kinds.ALL["json-unigram-white"],
}
SIZES = {"bpe.model": 420, "rules.model": 220, "unigram.model": 220, "unknown.json": 400, "white.json": 220}
TEXTS = ["", " ", "  ", "a", " a", "Once upon a time, there was a little dog.\n", "  two  spaces   three ",
         "caf\u00e9 na\u00efve \u4f60\u597d \U0001f600", "\ufb01ne \u2460 \u3000x\u00a0y\u200bz", "<br>New York <br>",
         "<s>a</s> b<unk>", "\u2581x \u2581", "aaaaaaaaaaaaaaa", "12345 2024", "\x00\x01\x7f"]


def copy_model(path, target):
    """Copies a model without the names of files, which differ each time."""
    proto = sentencepiece_model_pb2.ModelProto()
    with open(path, "rb") as file:
        proto.ParseFromString(file.read())
    proto.trainer_spec.ClearField("model_prefix")
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    with open(target, "wb") as file:
        file.write(proto.SerializeToString())


def main():
    goldens = {}
    for name, make in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            path, flags, encode, decode = make(folder, SIZES.get(name, 420))
            rng = random.Random(name)
            texts = TEXTS + [kinds.random_text(rng) for _ in range(25)]
            goldens[name] = {"flags": int(flags), "cases": [
                {"text": text, "ids": encode(text), "back": decode(encode(text))} for text in texts]}
            if name.endswith(".model"):
                copy_model(path, os.path.join(HERE, name))
                continue
            with open(path, encoding="utf-8") as file:
                description = json.load(file)
            with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
                json.dump(description, file, ensure_ascii=False, separators=(",", ":"))
                file.write("\n")
    with open(os.path.join(HERE, "goldens.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(
            f'{json.dumps(name)}: {{"flags": {value["flags"]}, "cases": [\n'
            + ",\n".join(json.dumps(case) for case in value["cases"]) + "\n]}" for name, value in goldens.items())
            + "\n}\n")


main()
