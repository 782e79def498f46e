"""Tokenizer pipelines that the scripts in this folder and tests/data/text/make_pipelines.py compare with Hugging
Face's tokenizers: what stands before the model, as tokenizer.json writes it. Each has a name and the members that
differ from BASE."""
import os
import random

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = dict(BYTE_LEVEL, use_regex=True)


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def normalizers(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def added(content, **flags):
    token = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": False}
    token.update(flags)
    return token


CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + END
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def cased(end, digits):
    begin = r"[^\r\n\p{L}\p{N}]?"
    return (f"{begin}{UPPER}*{LOWER}+{end}|{begin}{UPPER}+{LOWER}*{end}|{digits}" + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END)


GPT4O = cased(CONTRACTIONS + "?", r"\p{N}{1,3}")
TEKKEN = cased("", r"\p{N}")
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
             r"| ?[\p{P}\p{S}]+[\r\n]*" + END)
DEEPSEEK_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DEEPSEEK_WORDS = "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u0370-\u0373\u0386\u03a3-\u03f5\u048a-\u052f\uff21-\uff3a]+"
DEEPSEEK_SIGNS = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"

# Pipelines of models, as their own tokenizer.json has them.
MODELS = {
    "gpt-2": {"pre_tokenizer": GPT2},
    "roberta": {"pre_tokenizer": dict(GPT2, add_prefix_space=True)},
    "smollm": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, GPT2)},
    "llama-3": {"pre_tokenizer": sequence(split(LLAMA3), BYTE_LEVEL), "model": {"ignore_merges": True}},
    "qwen2": {"pre_tokenizer": sequence(split(QWEN2), BYTE_LEVEL), "normalizer": {"type": "NFC"}},
    "qwen35": {"pre_tokenizer": sequence(split(QWEN35), BYTE_LEVEL), "normalizer": {"type": "NFC"}},
    "gpt-4o": {"pre_tokenizer": sequence(split(GPT4O, "Removed", True), BYTE_LEVEL)},
    "tekken": {"pre_tokenizer": sequence(split(TEKKEN), BYTE_LEVEL), "model": {"ignore_merges": True}},
    "deepseek-v3": {"pre_tokenizer": sequence(split(r"\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                                              split(DEEPSEEK3), BYTE_LEVEL)},
    "deepseek-llm": {"pre_tokenizer": sequence(split("[\r\n]"), split(DEEPSEEK_WORDS), split(DEEPSEEK_SIGNS),
                                               split(r"\s+$"), split(DEEPSEEK_CJK),
                                               {"type": "Digits", "individual_digits": True}, BYTE_LEVEL)},
    "deepseek-coder": {"pre_tokenizer": sequence(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
                                                 split(DEEPSEEK_CJK), {"type": "Digits", "individual_digits": True},
                                                 BYTE_LEVEL)},
    "falcon": {"pre_tokenizer": sequence({"type": "Punctuation", "behavior": "Contiguous"}, GPT2,
                                         {"type": "Digits", "individual_digits": False},
                                         split("[0-9][0-9][0-9]"))},
    "command-r": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, GPT2),
                  "normalizer": {"type": "NFC"}},
    "seed-coder": {"pre_tokenizer": sequence(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}"
                                                   r"| ?[^\s\p{L}\p{N}\r\n]+" + END), BYTE_LEVEL)},
    "bailing": {"pre_tokenizer": sequence(split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
                                                r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"), BYTE_LEVEL)},
    "bloom": {"pre_tokenizer": sequence(split(" ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"),
                                        BYTE_LEVEL)},
    "clip-like": {"pre_tokenizer": sequence(split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
                                                  "Removed", True), BYTE_LEVEL),
                  "normalizer": normalizers({"type": "NFC"}, replace(r"\s+", " ", "Regex"), {"type": "Lowercase"})},
}

# The name that GGUF files have for such a pre-tokenizer, and no normaliser with it.
GGUF_NAMES = {name: name for name in ("gpt-2", "smollm", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3",
                                      "deepseek-coder", "seed-coder", "command-r")}
GGUF_NAMES.update({"llama-bpe": "llama-3", "llama4": "gpt-4o", "starcoder": "smollm", "refact": "smollm", "mpt": "gpt-2",
                   "falcon3": "llama-3", "stablelm2": "qwen2", "deepseek-r1-qwen": "qwen2", "bailingmoe": "bailing",
                   "olmo": "gpt-2", "exaone4": "gpt-2", "bloom": "bloom"})

# Every step by itself.
STEPS = {
    "plain": {"pre_tokenizer": BYTE_LEVEL},
    "prefix space": {"pre_tokenizer": dict(BYTE_LEVEL, add_prefix_space=True)},
    "prefix space of each": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False},
                                                       dict(GPT2, add_prefix_space=True))},
    "digits": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, BYTE_LEVEL)},
    "whitespace": {"pre_tokenizer": sequence({"type": "Whitespace"}, BYTE_LEVEL)},
    "whitespace split": {"pre_tokenizer": sequence({"type": "WhitespaceSplit"}, BYTE_LEVEL)},
    "bert": {"pre_tokenizer": sequence({"type": "BertPreTokenizer"}, BYTE_LEVEL)},
    "delimiter": {"pre_tokenizer": sequence({"type": "CharDelimiterSplit", "delimiter": "e"}, BYTE_LEVEL)},
    "delimiter.": {"pre_tokenizer": sequence({"type": "CharDelimiterSplit", "delimiter": "."}, BYTE_LEVEL)},
    "words": {"pre_tokenizer": sequence(split(r"\w+|[^\w\s]+"), BYTE_LEVEL)},
    "words in sets": {"pre_tokenizer": sequence(split(r"[\w]|[^\w\s]{2}"), BYTE_LEVEL)},
    "not words": {"pre_tokenizer": sequence(split(r"\W+", "Removed"), BYTE_LEVEL)},
    "boundaries": {"pre_tokenizer": sequence(split(r"\b"), BYTE_LEVEL)},
    "boundary and more": {"pre_tokenizer": sequence(split(r"\d{1,3}(?=(?:\d{3})*\b)"), BYTE_LEVEL)},
    "punctuation of Oniguruma": {"pre_tokenizer": sequence(split(r"[[:punct:]]+|[[:digit:][:space:]]"), BYTE_LEVEL)},
    "lines": {"pre_tokenizer": sequence(split(r"^.|.$"), BYTE_LEVEL)},
    "end": {"pre_tokenizer": sequence(split(r"\s+$"), BYTE_LEVEL)},
    "spelled": {"pre_tokenizer": sequence(BYTE_LEVEL, split("\u0120", "MergedWithNext", False, "String"))},
    "spelled with prefix": {"pre_tokenizer": sequence(dict(GPT2, add_prefix_space=True), split("[\u0120-\u01ff]"))},
}
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
for behavior in BEHAVIORS:
    STEPS["punctuation " + behavior] = {
        "pre_tokenizer": sequence({"type": "Punctuation", "behavior": behavior}, BYTE_LEVEL)}
    for pattern in (r"e|\s|\p{L}\p{M}", r"e*", r"(?=t)|\d"):
        for invert in (False, True):
            STEPS[f"{pattern} {behavior}{' inverted' if invert else ''}"] = {
                "pre_tokenizer": sequence(split(pattern, behavior, invert), BYTE_LEVEL)}
    STEPS["string " + behavior] = {
        "pre_tokenizer": sequence(split("t.", behavior, False, "String"), GPT2)}

NORMALIZERS = {
    name: {"normalizer": {"type": name}} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")}
NORMALIZERS.update({
    "strip": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
    "strip left": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": False}},
    "strip right": {"normalizer": {"type": "Strip", "strip_left": False, "strip_right": True}},
    "replace string": {"normalizer": replace("e.", "<e>")},
    "replace regex": {"normalizer": replace(r"\s{2,}|\p{N}", " ", "Regex")},
    "remove": {"normalizer": replace(r"\p{M}|t", "", "Regex")},
    "search": {"normalizer": normalizers({"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                                         {"type": "Strip", "strip_left": True, "strip_right": True},
                                         replace(r"\s+", " ", "Regex")), "pre_tokenizer": GPT2},
    "spaces": {"normalizer": replace(" ", "\u2581"), "pre_tokenizer": sequence(
        split("\u2581", "MergedWithNext", False, "String"), BYTE_LEVEL)},
})

TOKENS = ["<x>", " y", "Lily", "\u00e9", "t. ", "TEd", "e\u0301e", "<\u212b>", "\u4f60"]
FLAGS = {"plain flags": {}}
for flag in ("lstrip", "rstrip", "single_word", "normalized", "special"):
    FLAGS[flag] = {flag: True}
FLAGS.update({"both strips": {"lstrip": True, "rstrip": True}, "all flags": dict.fromkeys(
    ("lstrip", "rstrip", "single_word", "normalized", "special"), True)})
ADDED = {}
for name, flags in FLAGS.items():
    tokens = [added(content, **flags) for content in TOKENS]
    ADDED["added: " + name] = {"added_tokens": tokens}
    ADDED["added in lower case: " + name] = {"added_tokens": tokens, "normalizer": {"type": "Lowercase"},
                                             "pre_tokenizer": GPT2}
    ADDED["added without accents: " + name] = {
        "added_tokens": tokens, "pre_tokenizer": dict(GPT2, add_prefix_space=True),
        "normalizer": normalizers({"type": "NFD"}, {"type": "StripAccents"},
                                  {"type": "Strip", "strip_left": True, "strip_right": True})}
ADDED["added: every second normalized"] = {
    "added_tokens": [added(content, normalized=i % 2 == 0, special=i % 3 == 0, rstrip=i % 4 == 0)
                     for i, content in enumerate(TOKENS)], "normalizer": {"type": "NFKC"}}

# Their patterns look at all that follows for each match, so long texts of digits are refused.
QUADRATIC = {"boundary and more"}

BASE = {"normalizer": None, "pre_tokenizer": BYTE_LEVEL, "added_tokens": [], "model": {}}
ALL = {name: dict(BASE, **members)
       for group in (MODELS, STEPS, NORMALIZERS, ADDED) for name, members in group.items()}


def steps_of(value, key):
    """The steps of a sequence, or the only step."""
    return value[key] if value["type"] == "Sequence" else [value]


def random_pipeline(rng):
    """Some steps of those above, in any order."""
    changes = [step for members in NORMALIZERS.values() for step in steps_of(members["normalizer"], "normalizers")]
    cuts = [step for group in (MODELS, STEPS) for members in group.values()
            for step in steps_of(members["pre_tokenizer"], "pretokenizers") if step["type"] != "ByteLevel"]
    before, behind = rng.sample(cuts, rng.randint(0, 3)), rng.sample(cuts, rng.choice((0, 0, 1, 2)))
    byte_level = dict(BYTE_LEVEL, use_regex=rng.random() < 0.5, add_prefix_space=rng.random() < 0.2)
    tokens = [added(content, **{flag: rng.random() < 0.3 for flag in
                                ("lstrip", "rstrip", "single_word", "normalized", "special")})
              for content in rng.sample(TOKENS, rng.choice((0, 3, len(TOKENS))))]
    return {"normalizer": normalizers(*rng.sample(changes, rng.randint(0, 3))),
            "pre_tokenizer": sequence(*before, byte_level, *behind), "added_tokens": tokens, "model": {}}


def tokenizer_json(base, members):
    """The tokenizer.json of a pipeline before the model of `base`, a parsed tokenizer.json."""
    ids = dict(base["model"]["vocab"])
    tokens = [dict(token, id=ids.setdefault(token["content"], len(ids))) for token in members["added_tokens"]]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
            "normalizer": members["normalizer"], "pre_tokenizer": members["pre_tokenizer"], "post_processor": None,
            "decoder": BYTE_LEVEL, "model": dict(base["model"], **members["model"])}


PIECES = (["a", "e", "t", "s", "E", "T", "Q", "x", "0", "7", "12", "2024", "123456"] + list("'\".,!?-_/\\()[]{}$+<=>^`|~#&%@*:;")
          + [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b", "\u200d"]
          + ["'s", "'LL", "'ve", "'\u017f", "don't", "Once", " upon", " time", " little", "Lily", "LILY", "lily", "WORLDs", "aBc"]
          + ["\u00e9", "e\u0301", "a\u0323\u0307", "\u0301", "\u00c5", "\u212b", "\u0130", "\u03a3", "\u03c3", "\u00df", "\u01c5", "\u02b0"]
          + ["\u00bd", "\u00b2", "\u2167", "\u0664", "\uff17", "\u24d0", "\ufb01", "\ufdfa", "\u1e9b\u0323", "\u00aa", "\u00b5"]
          + ["\u4f60", "\u597d\u4e16", "\u3042", "\u30ab\u3099", "\u1100\u1161", "\uac00", "\ud55c", "\u0928\u092e\u0938\u094d", "\u0e01\u0e33"]
          + ["\u041f\u0440\u0438", "\u0645\u0631\u062d", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469", "\uff0c", "\u3002", "\u2026", "\u20ac"]
          + ["<x>", " y", "t. ", "<\u212b>", "<\u00e5>", "e\u0301e", "\u00e9e", "\u2581", "\u0120", "\x00", "\x7f", "\u00ad", "\U00010400", "\U0001d400"])


def write_gguf(path, base, name):
    """Writes a GGUF file of the vocabulary of `base` with a pre-tokenizer of that name, by the gguf package."""
    import gguf
    vocab = base["model"]["vocab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(sorted(vocab, key=vocab.get))
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocab))
    writer.add_token_merges([" ".join(merge) for merge in base["model"]["merges"]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_text(rng):
    if rng.random() < 0.2:  # few kinds of pieces, so that they repeat
        pieces = rng.sample(PIECES, 3)
        return "".join(rng.choice(pieces) for _ in range(rng.randint(1, 40)))
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 30)))


def long_texts():
    """A megabyte of each."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "heldout.txt"), encoding="utf-8") as file:
        story = file.read()
    rng = random.Random(2)
    pieces = ["a", " ", "ab", "\n", " \n", "1", "A", "\u0301", "e\u0301", "\u4f60", "'", "'s ", " a", "aA", "\u0e01\u0e33", "\t\r\n", "\u3000x", " " * 1000 + "\u4f60", "1" * 5000 + " "]
    texts = [story, "".join(random_text(rng) for _ in range(20000))] + pieces
    return [(text * (1 + (1 << 20) // len(text.encode()))).encode()[:1 << 20].decode(errors="ignore") for text in texts]
