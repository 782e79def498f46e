#!/usr/bin/env python3
"""Makes the references of this folder with llama.cpp: what it computes for the models that get_models.py fetches.

    tests/real/make_references.py --source llama.cpp --build llama.cpp/build FOLDER [NAME...]

FOLDER holds the models, and gets a copy of each with weights in float32 for as long as it is used (1.5B: 7 GB). Needs
the packages gguf and jinja2, and a compiler. For each model (or each NAME) the file NAME.json has

    greedy   prompts, as text or as messages of a conversation that Jinja writes; llama.cpp's greedy text after them,
             with the margins by which its tokens are the most likely; and for the same tokens what is most likely,
             and by which margins, if weights, activations, keys and values are float32 (f32_best, f32_margins). `top`
             are the ten largest logits in float32 after the prompt.
    text     chunks of the held-out text, each begun as the model begins texts, and the sum of the log-probabilities
             of the tokens of their second half: what llama-perplexity adds up with a context of CHUNK.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "chat"))
import jinja_texts

CHUNK, N_CHUNKS, N_TOKENS = 1024, 2, 48
TEXTS = ["The capital of France is", "Once upon a time,", "How to make tea:\n1. Boil the water.\n2."]
CODE = ["def quicksort(items):\n"]
CONVERSATIONS = [
    [["user", "Write a C function that returns the greatest common divisor of two numbers."]],
    [["system", "Answer in one short sentence."], ["user", "What is a hash table?"]],
    [["user", "Name three colours."], ["assistant", "Red, green and blue."], ["user", "Which of them has the sky?"]],
]


class Peer:
    def __init__(self, program, model, *arguments):
        command = [program, model, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request, data=b""):
        self.process.stdin.write(request.encode() + b"\n" + data)
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def ask_about(self, request, ids):
        return self.ask(" ".join([request, *map(str, ids)]))

    def tokenize(self, text):
        data = text.encode()
        return [int(number) for number in self.ask(f"tokenize {len(data)}", data)]

    def score(self, ids):
        """Lists: the most likely id after each, the margins, the log-probability of the id that follows."""
        numbers = self.ask_about("score", ids)
        return [int(number) for number in numbers[::3]], numbers[1::3], numbers[2::3]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def build(source, built, folder):
    program = os.path.join(folder, "peer")
    libraries = os.path.join(built, "bin")
    includes = [f"-I{source}/include", f"-I{source}/ggml/include"]
    link = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lllama", "-lggml", "-lggml-base", "-lm"]
    subprocess.run(["cc", "-O2", *includes, HERE / "peer.c", "-o", program, *link], check=True)
    return program


def write_f32(path, target):
    """A copy of a GGUF file whose weights are float32."""
    reader = gguf.GGUFReader(path)
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            array = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if array else None)
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        writer.add_tensor_info(tensor.name, shape, numpy.dtype("float32"), 4 * int(tensor.n_elements))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype("float32"))
    writer.close()
    return reader


def prompts(reader):
    """Texts, or messages and the text that the model's template makes of them."""
    field = reader.get_field("tokenizer.chat_template")
    if field is None:
        return [{"text": text} for text in TEXTS]
    template = jinja_texts.environment().from_string(field.contents())
    made = [{"text": text} for text in CODE]
    for conversation in CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        text = template.render(messages=messages, add_generation_prompt=True)
        made.append({"messages": conversation, "text": text})
    return made


def add_greedy(peer, exact, item):
    ids = item["prompt_ids"] = peer.tokenize(item["text"])
    numbers = peer.ask_about(f"generate {N_TOKENS}", ids)
    item["ids"] = [int(number) for number in numbers[::2]]
    item["margins"] = numbers[1::2]
    best, margins, _ = exact.score(ids + item["ids"][:-1])
    item["f32_best"], item["f32_margins"] = best[len(ids) - 1 :], margins[len(ids) - 1 :]
    top = exact.ask_about("top", ids)
    item["top"] = [[int(top[i]), top[i + 1]] for i in range(0, len(top), 2)]


def text_reference(peer, exact):
    text = (HERE.parent / "data/heldout.txt").read_text()
    ids = peer.tokenize(text)
    bos = peer.tokenize("")  # what every text begins with
    chunks = []
    for begin in range(0, CHUNK * N_CHUNKS, CHUNK):
        chunk = ids[begin : begin + CHUNK]
        chunk[: len(bos)] = bos
        sums = [sum(engine.score(chunk)[2][CHUNK // 2 : -1]) for engine in (peer, exact)]
        chunks.append({"ids": chunk, "log_probability": round(sums[0], 3), "f32_log_probability": round(sums[1], 3)})
    return chunks


def make(name, program, folder, work):
    path = os.path.join(folder, name + ".gguf")
    f32 = os.path.join(work, "f32.gguf")
    reader = write_f32(path, f32)
    peer, exact = Peer(program, path), Peer(program, f32, "f32")
    greedy = prompts(reader)
    for item in greedy:
        add_greedy(peer, exact, item)
    made = {"greedy": greedy, "text": text_reference(peer, exact)}
    peer.end()
    exact.end()
    os.remove(f32)
    # One value a line, so that lists of numbers do not fill the file with lines.
    lines = [
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in items) + "\n ]"
        for key, items in made.items()
    ]
    (HERE / (name + ".json")).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: {len(greedy)} prompts", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="llama.cpp's source")
    parser.add_argument("--build", required=True, help="the folder in which it was built, with shared libraries")
    parser.add_argument("folder", metavar="FOLDER", help="where get_models.py put the models")
    parser.add_argument("names", metavar="NAME", nargs="*", help="of models; default: all")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in HERE.glob("*.txt"))
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        program = build(options.source, options.build, work)
        for name in names:
            make(name, program, options.folder, work)


main()
