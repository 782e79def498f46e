"""GGUF files for tests: the bundled model with another chat template, and vocabularies without a model."""

import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            kind, n = self.number("I"), self.number("Q")
            for _ in range(n):
                self.skip(kind)
        else:
            self.take(SIZES[kind])


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def row(value):
    """A value of metadata."""

    if isinstance(value, bool):
        return struct.pack("<IB", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, list):
        kinds = {str: STRING, int: INT32, float: FLOAT32}
        kind = kinds[type(value[0])]
        members = [string(v) if kind == STRING else struct.pack("<i" if kind == INT32 else "<f", v) for v in value]
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(members)
    return struct.pack("<I", STRING) + string(value)


def gguf(rows, n_tensors=0, infos=b"", body=b""):
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, len(rows))
    head += b"".join(string(key) + value for key, value in rows.items()) + infos
    return head + bytes(-len(head) % ALIGNMENT) + body


def with_metadata(data, values):
    """The same file with these values."""

    reader = Reader(data)
    reader.take(8)
    n_tensors, n_keys = reader.number("Q"), reader.number("Q")
    rows = {}
    for _ in range(n_keys):
        key, begin = reader.string().decode(), reader.at
        reader.skip(reader.number("I"))
        rows[key] = data[begin : reader.at]
    rows.update((key, row(value)) for key, value in values.items())
    begin = reader.at
    for _ in range(n_tensors):
        reader.string()
        reader.take(8 * reader.number("I") + 12)
    body = data[(reader.at + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT :]
    return gguf(rows, n_tensors, data[begin : reader.at], body)


def spaced_vocabulary(template):
    """A vocabulary as SentencePiece makes them, without a model: it puts a space in front of every text."""

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *letters]
    types = [2, 3, 3] + 256 * [6] + (1 + len(letters)) * [1]
    values = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(tokens))],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": template,
    }
    return gguf({key: row(value) for key, value in values.items()})
