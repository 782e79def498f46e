#!/usr/bin/env python3
"""Checks what lckv writes with the chat templates of a folder against Jinja's own text.

    make build/tests/unit/render
    tests/chat/check_templates.py [--update] FOLDER...

Each template (*.jinja) writes 40 conversations. lckv must write what Jinja writes or refuse, and never write another
text. The list shows for how many texts lckv and Jinja agree, how many both refuse, how many only lckv refuses, and why
it refused the first. tests/data/chat/golden.json remembers, for each template by the hash of its text, how many texts
lckv wrote and the hash of all of them; the check fails if they are others now. --update writes that file anew.
Needs jinja2. The folder models/templates of llama.cpp, also in the source archive of llama-cpp-python, has many.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

import jinja_texts

RENDER = pathlib.Path(__file__).parents[2] / "build/tests/unit/render"
GOLDEN = pathlib.Path(__file__).parents[1] / "data/chat/golden.json"


def lckv_texts(path):
    sent = b""
    for messages, answer in jinja_texts.conversations():
        sent += b"%d %d\n" % (len(messages), answer)
        for message in messages:
            role, content = message["role"].encode(), message["content"].encode()
            sent += b"%d %d\n" % (len(role), len(content)) + role + content
    date = jinja_texts.DATE.strftime("%Y-%m-%d")
    done = subprocess.run([RENDER, path, date], input=sent, stdout=subprocess.PIPE, check=True).stdout
    written = []
    while done:
        head, _, rest = done.partition(b"\n")
        status, length = map(int, head.split())
        written.append((status, rest[:length].decode()))
        done = rest[length:]
    return written


def check(path):
    """The numbers of texts that agree, that both refuse and that only lckv refuses; reasons; what is wrong; the golden."""

    counts, reasons, wrong, written = [0, 0, 0], [], [], []
    ours, theirs = lckv_texts(path), jinja_texts.texts(path.read_bytes().decode())
    assert len(ours) == len(theirs) == 40
    for i, ((status, text), expected) in enumerate(zip(ours, theirs)):
        if status != 0:
            counts[1 if expected is None else 2] += 1
            reasons += [text] if expected is not None else []
        elif text != expected:
            wrong.append(f"conversation {i}: {text!r}, but Jinja {expected!r}")
        else:
            counts[0] += 1
            written.append(f"{i}:{text}")
    digest = hashlib.sha256("\0".join(written).encode()).hexdigest()
    return counts, reasons, wrong, {"name": path.stem, "written": counts[0], "texts": digest}


def main():
    arguments = sys.argv[1:]
    update = "--update" in arguments
    folders = [name for name in arguments if name != "--update"]
    paths = sorted(path for folder in folders for path in pathlib.Path(folder).glob("*.jinja"))
    if not paths:
        sys.exit(__doc__)
    golden = {} if update else json.loads(GOLDEN.read_text())
    n_wrong = 0
    for path in paths:
        counts, reasons, wrong, made = check(path)
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        known = golden.setdefault(key, made)
        if (known["written"], known["texts"]) != (made["written"], made["texts"]):
            wrong.append(f"{made['written']} texts were written, but {known['written']} or others before")
        n_wrong += bool(wrong)
        reason = f"  {reasons[0][:140]}" if reasons else ""
        print(f"{'WRONG' if wrong else 'refused' if counts[2] else 'ok':8}{''.join(f'{n:4}' for n in counts)}  "
              f"{path.stem}{reason}")
        for line in wrong[:3]:
            print(f"    {line[:600]}")
    if update:
        rows = sorted(golden.items(), key=lambda row: row[1]["name"])
        GOLDEN.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows) + "\n}\n")
    print(f"{len(paths)} templates, {n_wrong} written wrongly")
    return n_wrong != 0


if __name__ == "__main__":
    sys.exit(main())
