"""What Jinja writes with chat templates, set up as Hugging Face's transformers does, for 40 conversations."""

import datetime
import json
import random

from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATE = datetime.datetime(2026, 2, 9)
MARKERS = [
    "<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<think>", "</think>",
    "<think>\nSo.\n</think>\n\n", "<|eot_id|>", "<end_of_turn>", "<turn|>", "<|turn>", "<|channel>", "<channel|>",
    "<|channel>thought\n<channel|>", "<tool_response>", "</tool_response>", "<tool_response>\nx\n</tool_response>",
    "/think", "/no_think", "{{ bos_token }}", "{% if %}", "<|end|>", "<\uff5cUser\uff5c>", "<|end_of_text|>", "<|think|>",
]
WORDS = ["Hi", "Tell me a story.", " leading", "trailing \n", "\n\n", "\u00e4\u00f6", "\u4f60\u597d", "\t", "\u00a0", "\x1f", "a\r\nb", "Hi\n"]


class Generation(Extension):
    """{% generation %}, which marks what the model said and writes nothing of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def refuse(message):
    raise TemplateError(message)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = to_json
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = DATE.strftime
    return made


def conversations():
    """Pairs of messages and whether the answer is opened: the usual forms, then random ones with markers in them."""

    chance = random.Random(27)

    def text():
        kind = chance.randrange(5)
        if kind == 0:
            return ""
        parts = [chance.choice(WORDS if kind < 3 else WORDS + MARKERS) for _ in range(chance.randint(1, 4))]
        return chance.choice(["", " "]).join(parts)

    def message(role, content):
        return {"role": role, "content": content}

    def turns(n, ends_with_answer, has_system, content):
        messages = [message("system", content("Be brief."))] if has_system else []
        for i in range(n):
            messages.append(message("user", content(f"Question {i}")))
            if i + 1 < n or ends_with_answer:
                messages.append(message("assistant", content(f"Answer {i}")))
        return messages

    made = []
    for n in (1, 2, 3):
        for has_system in (False, True):
            made.append((turns(n, False, has_system, lambda plain: plain), True))
            made.append((turns(n, True, has_system, lambda plain: plain), False))
    made += [([], True), ([], False), ([message("system", "Be brief.")], True), ([message("assistant", "Hello.")], True)]
    made.append(([message("user", ""), message("assistant", ""), message("user", "")], True))
    made.append(([message("system", ""), message("user", "Hi")], True))
    while len(made) < 32:
        made.append((turns(chance.randint(1, 4), chance.random() < 0.3, chance.random() < 0.5, lambda _: text()),
                     chance.random() < 0.8))
    while len(made) < 40:
        roles = [chance.choice(["system", "user", "user", "assistant", "assistant", "tool", "developer"])
                 for _ in range(chance.randint(1, 6))]
        made.append(([message(role, text()) for role in roles], chance.random() < 0.7))
    return made


def texts(source):
    """What Jinja writes for each conversation; None where the template or Jinja refuses."""

    try:
        template = environment().from_string(source)
    except TemplateError:
        return [None] * 40
    names = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}
    written = []
    for messages, answer in conversations():
        try:
            written.append(template.render(messages=messages, add_generation_prompt=answer, **names))
        except Exception:  # whatever it is, Jinja writes no text
            written.append(None)
    return written
