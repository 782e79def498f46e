#!/usr/bin/env python3
"""Makes the small tokenizers in this folder and the ids that Hugging Face's tokenizers gives with them.

    pip install tokenizers==0.23.3
    python3 tests/data/text/make_goldens.py     (from the root of the repository)
"""
import json
import os
import random

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def sequence(*steps):
    return pre_tokenizers.Sequence(list(steps))


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


PRETOKENIZERS = {
    "gpt2": byte_level(True),
    "smollm": sequence(pre_tokenizers.Digits(individual_digits=True), byte_level(True)),
    "llama3": sequence(split(Regex(LLAMA3)), byte_level(False)),
    "plain": byte_level(False),
    "steps": sequence(split(" t."), pre_tokenizers.Digits(individual_digits=False),
                      split(Regex(r"[\s\u00e9]+|[^\S\n]x|\S"), "removed", True), byte_level(False)),
}

ADDED = [
    AddedToken("<|im_start|>", special=True, normalized=False),
    AddedToken("<|im_end|>", special=True, normalized=False, rstrip=True),
    AddedToken("<mask>", special=True, normalized=False, lstrip=True),
    AddedToken("Lily", single_word=True, normalized=False),
    AddedToken("    ", normalized=False),
    AddedToken("<|im_", normalized=False),
]

TEXTS = [
    "", " ", "a", "Hello, world!", "Once upon a time, there was a little dog named Max.\n",
    "I've don't they'll WE'RE it's you'd 'S 'T '", "a  b   c    d\t\te\n\n\nf\r\n g ", "    x   ",
    "1 12 123 1234 12345.678 \u00bd \u00b2 \u2167 \u0664\u0665", "caf\u00e9 na\u00efve \u00e9x \u0301",
    "e\u0301 a\u0323\u0307 \u1100\u1161 \u212b \ufb01", "\u4f60\u597d\uff0c\u4e16\u754c \uc548\ub155",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u0645\u0631\u062d\u0628\u0627 \u0928\u092e\u0938\u094d\u0924",
    "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467", "\u00a0\u3000\u2028\u0085x\u180ey",
    "\x00\x01\x7f\x1c", "'\u017f 'LL \u017f't", "<|bos|>Hi<|eos|> there <|bos|", "int f(void) { return -1; }",
    "<|im_start|>user\nHi<|im_end|>  \n<|im_start|>", "x <mask> y\n\t<mask>z<mask>", "<|im_x <|im_end",
    "Lily Lily. xLily Lilyx Lily9 \u00e9Lily Lily\u0301 Lily", "a    b     c        d", " t. t, at.t",
]


def random_text(rng):
    alphabet = "aAe0 9.,'\"-\n\t\u00e9\u0301\u4f60"
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 60)))


def train(name, corpus):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    tokenizer.pre_tokenizer = PRETOKENIZERS[name]
    tokenizer.decoder = decoders.ByteLevel()
    if name == "llama3":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(vocab_size=258 + 250, show_progress=False,
                                  special_tokens=["<|bos|>", "<|eos|>"],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(corpus, trainer)
    if name == "smollm":
        for token in ADDED:
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    if name != "plain":
        end = " <|eos|>" if name == "llama3" else ""
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A" + end, special_tokens=[("<|bos|>", 0), ("<|eos|>", 1)])
    return tokenizer


def main():
    with open(os.path.join(HERE, "..", "heldout.txt"), encoding="utf-8") as file:
        corpus = file.read().split("\n")[:100]
    corpus += ["caf\u00e9 123 456 2024 don't I'LL \u4f60\u597d \u041f\u0440\u0438\u0432\u0435\u0442"] * 5
    rng = random.Random(3)
    texts = TEXTS + [random_text(rng) for _ in range(25)]
    goldens = {}
    for name in PRETOKENIZERS:
        tokenizer = train(name, corpus)
        description = json.loads(tokenizer.to_str())
        if name == "smollm":  # merges as older files have them
            description["model"]["merges"] = [" ".join(m) for m in description["model"]["merges"]]
        with open(os.path.join(HERE, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(description, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")
        goldens[name] = [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts]
    with open(os.path.join(HERE, "goldens.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(
            json.dumps(name) + ": [\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]"
            for name, cases in goldens.items()) + "\n}\n")


main()
