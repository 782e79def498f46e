"""Small tokenizers of each kind whose vocabulary is spelled with U+2581, and their references.

ALL maps a name to a function that writes the tokenizer into a folder and returns its path, the flags of lckv_tokenize
that make it do what the reference does, and the reference's functions from text to ids and back. mixtures() makes more
of them, with normalisers in any order.
"""
import functools
import json
import os

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "\u2581"
NO_SPECIAL, NO_BOS = 1, 4  # flags of lckv_tokenize


def corpus():
    with open(os.path.join(HERE, "..", "data", "heldout.txt"), encoding="utf-8") as file:
        lines = file.read().split("\n")[:300]
    return lines + ["caf\u00e9 123 456 2024 don't I'LL  \u4f60\u597d \u041f\u0440\u0438\u0432\u0435\u0442 f(x) {",
                    "na\u00efve  caf\u00e9   \u2460 \ufb01ne \uff28\uff25\uff2c\uff2c\uff2f 0 1 2 3 4 5 6 7 8 9"] * 8


def random_text(rng):
    alphabet = ["a", "b", "e", "n", "t", "o", "h", " ", " ", " ", "  ", ".", ",", "\n", "\t", "1", "23", "\u00e9",
                "\u4f60", "\U0001f600", "\u0416", "\u00a0", "E.", "An", "The", " the", "Once upon", " and", "ing", "<br>", "<s>", "</s>",
                "New York", "\ufb01", "\u2460", "e\u0301", "\u3000", "<unk>", "aaaa", "=====", "\u200b", "\x01"]
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, 30)))


# ---- tokenizer.model ----

def train(folder, name, vocab_size=600, **options):
    prefix = os.path.join(folder, name)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=prefix, vocab_size=vocab_size, character_coverage=0.995,
        minloglevel=2, num_threads=1, **options)
    os.remove(prefix + ".vocab")
    return prefix + ".model"


def sentencepiece_kind(name, **options):
    def make(folder, vocab_size=600):
        path = train(folder, name, vocab_size, **options)
        reference = sentencepiece.SentencePieceProcessor(model_file=path)
        return path, str(NO_SPECIAL | NO_BOS), reference.encode, lambda ids: hide_unknown(reference.decode(ids))
    return make


def hide_unknown(text):
    """SentencePiece shows the unknown token as a double question mark between spaces; lckv hides it."""
    shown = text.replace(" \u2047 ", "")
    return shown.lstrip(" ") if text.startswith(" \u2047 ") else shown


# ---- tokenizer.json ----

@functools.cache
def llama_vocabulary(folder, vocab_size):
    """Vocabulary and merges of a SentencePiece model, as transformers converts them."""
    path = train(folder, "base", vocab_size, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                 remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True)
    proto = sentencepiece_model_pb2.ModelProto()
    with open(path, "rb") as file:
        proto.ParseFromString(file.read())
    scores = {piece.piece: piece.score for piece in proto.pieces}
    vocab = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    merges = []
    for piece, score in scores.items():
        for i in range(1, len(piece)):
            if piece[:i] in vocab and piece[i:] in vocab:
                merges.append((-score, vocab[piece[:i]], vocab[piece[i:]], piece[:i], piece[i:]))
    merges.sort(key=lambda merge: merge[:3])
    return vocab, [merge[3:] for merge in merges]


SPECIALS = [AddedToken(text, special=True, normalized=False) for text in ("<unk>", "<s>", "</s>")]
DECODER = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
STRIP = [decoders.Strip(" ", 1, 0)]


def bpe(normalizer, pretokenizer, decoder, byte_fallback=True, fuse_unk=True, bos=True, ignore_merges=False, added=()):
    def make(folder, vocab_size=600):
        vocab, merges = llama_vocabulary(folder, vocab_size)
        if not byte_fallback:
            vocab = {token: i for i, token in enumerate(t for t in vocab if not t.startswith("<0x"))}
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=fuse_unk,
                                         byte_fallback=byte_fallback, ignore_merges=ignore_merges))
        return finish(folder, tokenizer, normalizer, pretokenizer, decoder, bos, added)
    return make


def unigram(normalizer, pretokenizer, decoder, byte_fallback=False, own_training=False):
    def make(folder, vocab_size=600):
        if own_training:
            tokenizer = Tokenizer(models.Unigram())
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
            tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
                vocab_size=500, show_progress=False, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"]))
            model = json.loads(tokenizer.to_str())["model"]
            tokenizer = Tokenizer(models.Unigram([tuple(v) for v in model["vocab"]], model["unk_id"]))
        else:
            path = train(folder, "base", vocab_size, model_type="unigram", byte_fallback=byte_fallback)
            proto = sentencepiece_model_pb2.ModelProto()
            with open(path, "rb") as file:
                proto.ParseFromString(file.read())
            vocab = [(piece.piece, piece.score) for piece in proto.pieces]
            tokenizer = Tokenizer(models.Unigram(vocab, 0, byte_fallback))
            rules = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
            if normalizer == "rules":
                tokenizer.normalizer = normalizers.Sequence([
                    rules, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), MARK)])
            elif normalizer == "albert":
                tokenizer.normalizer = normalizers.Sequence([
                    normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
                    normalizers.Lowercase(), rules, normalizers.Replace(Regex(" {2,}"), " ")])
        return finish(folder, tokenizer, normalizer, pretokenizer, decoder, False)
    return make


def finish(folder, tokenizer, normalizer, pretokenizer, decoder, bos, added=()):
    if normalizer is not None and not isinstance(normalizer, str):
        tokenizer.normalizer = normalizer
    if pretokenizer is not None:
        tokenizer.pre_tokenizer = pretokenizer
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.add_tokens(list(added))
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    path = os.path.join(folder, "tokenizer.json")
    tokenizer.save(path)
    # The reference shows normalized tokens as the normaliser changes them, lckv as they are spelled.
    return path, "0", lambda text: tokenizer.encode(text).ids, None if added else tokenizer.decode


def replace():
    return normalizers.Replace(" ", MARK)


def metaspace(scheme, split=True):
    return pre_tokenizers.Metaspace(MARK, scheme, split)


def normalized(*steps, **options):
    """BPE behind normalisers that put U+2581 in the place of spaces themselves."""
    return bpe(normalizers.Sequence(list(steps)), None, decoders.Sequence(DECODER + STRIP), **options)


ADDED = [AddedToken("New York", normalized=True), AddedToken("<br>", normalized=True, lstrip=True),
         AddedToken("\u00e9a", normalized=True), AddedToken("An", normalized=True, single_word=True),
         AddedToken("E.", normalized=False)]
STEPS = [lambda: normalizers.NFC(), lambda: normalizers.NFD(), lambda: normalizers.NFKC(), lambda: normalizers.NFKD(),
         lambda: normalizers.Lowercase(), lambda: normalizers.StripAccents(), lambda: normalizers.Strip(),
         lambda: normalizers.Strip(left=False), lambda: normalizers.Strip(right=False),
         lambda: normalizers.Replace("e", "\u00e9"), lambda: normalizers.Replace(Regex(r"\s+"), " "),
         lambda: normalizers.Replace(Regex("[ \u2581]{2,}|n"), MARK), lambda: normalizers.Replace(Regex("^[a ]+"), ""),
         lambda: normalizers.Prepend("a "), lambda: normalizers.Prepend(MARK), replace]
PRETOKENIZERS = [lambda: metaspace("always"), lambda: metaspace("first"), lambda: metaspace("never"),
                 lambda: metaspace("first", False), lambda: pre_tokenizers.Sequence([
                     pre_tokenizers.WhitespaceSplit(), metaspace("always")])]


def mixtures(count, rng):
    """Kinds with one to four normalisers, in any order, and perhaps a pre-tokenizer behind them."""
    kinds = {}
    for i in range(count):
        steps = [rng.choice(STEPS)() for _ in range(rng.randint(1, 4))]
        pretokenizer = rng.choice(PRETOKENIZERS)()
        if rng.random() < 0.4:
            steps.insert(rng.randint(0, len(steps)), replace())
            pretokenizer = None
        kinds[f"mixture {i}"] = bpe(normalizers.Sequence(steps), pretokenizer, decoders.Sequence(DECODER),
                                    added=rng.choice([(), ADDED]))
    return kinds


ALL = {
    "model-bpe": sentencepiece_kind("bpe", model_type="bpe", byte_fallback=True, split_digits=True,
                                    normalization_rule_name="identity", remove_extra_whitespaces=False,
                                    allow_whitespace_only_pieces=True),
    "model-bpe-unknown": sentencepiece_kind("bpe_unknown", model_type="bpe"),
    "model-bpe-user": sentencepiece_kind("bpe_user", model_type="bpe", byte_fallback=True, add_dummy_prefix=False,
                                         normalization_rule_name="identity", remove_extra_whitespaces=False,
                                         user_defined_symbols=["<br>", "New York", MARK * 2, MARK * 3, "\n"]),
    "model-bpe-prefix-user": sentencepiece_kind("bpe_prefix_user", model_type="bpe", byte_fallback=True,
                                                user_defined_symbols=["<br>", "New York"]),
    "model-unigram": sentencepiece_kind("unigram", model_type="unigram"),
    "model-unigram-bytes": sentencepiece_kind("unigram_bytes", model_type="unigram", byte_fallback=True,
                                              normalization_rule_name="nfkc", remove_extra_whitespaces=False),
    "model-unigram-user": sentencepiece_kind("unigram_user", model_type="unigram", byte_fallback=True,
                                             user_defined_symbols=["<br>", "New York", "an"]),
    "json-llama": bpe(normalizers.Sequence([normalizers.Prepend(MARK), replace()]), None,
                      decoders.Sequence(DECODER + STRIP)),
    "json-llama-added": bpe(normalizers.Sequence([normalizers.Prepend(MARK), replace()]), None,
                            decoders.Sequence(DECODER + STRIP), added=ADDED),
    "json-mistral": bpe(None, metaspace("first", False), decoders.Sequence(DECODER + STRIP)),
    "json-metaspace": bpe(None, metaspace("always"), decoders.Sequence(DECODER + STRIP)),
    "json-gemma": bpe(replace(), pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence(DECODER)),
    "json-gemma-added": bpe(replace(), pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence(DECODER),
                            added=ADDED),
    "json-unknown": bpe(None, metaspace("always", False), decoders.Sequence(DECODER + STRIP), byte_fallback=False),
    "json-unknowns": bpe(None, metaspace("never", False), decoders.Sequence(DECODER), byte_fallback=False,
                         fuse_unk=False),
    "json-ignore-merges": bpe(None, metaspace("always"), decoders.Sequence(DECODER + STRIP), ignore_merges=True),
    "json-nfkc": normalized(normalizers.NFKC(), normalizers.Prepend(MARK), replace()),
    "json-nfkc-behind": normalized(replace(), normalizers.NFKC()),
    "json-lowercase": normalized(normalizers.Lowercase(), replace(), added=ADDED),
    "json-strip": normalized(normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(),
                             normalizers.Prepend(MARK), replace(), added=ADDED),
    "json-lines": bpe(normalizers.Replace(Regex("\\s*\n\\s*"), "\n"), metaspace("first", False),
                      decoders.Sequence(DECODER + STRIP)),
    "json-gemma-lowercase": bpe(normalizers.Sequence([normalizers.Lowercase(), replace()]),
                                pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence(DECODER)),
    "json-unigram-albert": unigram("albert", metaspace("always"), decoders.Metaspace()),
    "json-unigram": unigram(None, metaspace("always"), decoders.Metaspace()),
    "json-unigram-trained": unigram(None, metaspace("always"), decoders.Metaspace(), own_training=True),
    "json-unigram-bytes": unigram(None, metaspace("first", False), decoders.Sequence(DECODER + STRIP), True),
    "json-unigram-rules": unigram("rules", metaspace("always"), decoders.Metaspace()),
    "json-unigram-white": unigram(None, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                                                 metaspace("always")]), decoders.Metaspace()),
}
