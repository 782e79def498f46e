#!/usr/bin/env python3
"""Checks what lckv writes with the chat templates of a folder against Jinja's own text.

    make build/tests/unit/render
    tests/chat/check_templates.py FOLDER...

Each template (*.jinja) writes 40 conversations. It passes if lckv writes what Jinja writes or refuses by itself, and
never writes another text. The list shows how many were written, and the reason for the first refusal.
Needs jinja2. The folder models/templates of llama.cpp, also in the source archive of llama-cpp-python, has many.
"""

import pathlib
import subprocess
import sys

import jinja_texts

RENDER = pathlib.Path(__file__).parents[2] / "build/tests/unit/render"


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
    """The number of texts that are right, of refusals that are Jinja's too, and of other refusals; and what is wrong."""

    source = path.read_bytes().decode()
    right = refused_by_both = refused = 0
    reasons, wrong = [], []
    ours = lckv_texts(path)
    for given in (True,):
        theirs = jinja_texts.texts(source, given)
        assert len(ours) == len(theirs) == 40
        for i, ((status, text), expected) in enumerate(zip(ours, theirs)):
            if status == 0 and text == expected:
                right += 1
            elif status == 0:
                wrong.append(f"conversation {i}: {text!r}, but Jinja {expected!r}")
            elif expected is None:
                refused_by_both += 1
            else:
                refused += 1
                reasons.append(text)
    return right, refused_by_both, refused, reasons, wrong


def main():
    n_wrong = 0
    paths = sorted(path for folder in sys.argv[1:] for path in pathlib.Path(folder).glob("*.jinja"))
    if not paths:
        sys.exit(__doc__)
    for path in paths:
        right, refused_by_both, refused, reasons, wrong = check(path)
        n_wrong += bool(wrong)
        reason = f"  {reasons[0][:140]}" if reasons else ""
        print(f"{'WRONG' if wrong else 'ok' if refused == 0 else 'refused':8}{right:4}{refused_by_both:4}{refused:4}  "
              f"{path.stem}{reason}")
        for line in wrong[:3]:
            print(f"    {line[:600]}")
    print(f"{len(paths)} templates, {n_wrong} written wrongly")
    return n_wrong != 0


if __name__ == "__main__":
    sys.exit(main())
