"""Calls of tools, as models write them: found in answers, and forced upon them.

How a model writes a call was taught to it, and its chat template repeats it. Four ways are recognised by marks that
the template names:

    <tool_call>{"name": "f", "arguments": {...}}</tool_call>        Hermes, Qwen and many others
    [TOOL_CALLS][{"name": "f", "arguments": {...}}]                 Mistral, also [TOOL_CALLS]f[ARGS]{...}
    <|tool_call|>[{"name": "f", "arguments": {...}}]                Granite
    {"name": "f", "parameters": {...}}                              Llama 3, perhaps behind <|python_tag|>

What is not of this form is left as text: nothing that a model said is lost.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

from ._asks import ToolCall, Tools

if TYPE_CHECKING:
    from .._model import Model

Part = Union[str, ToolCall]

NAMED = re.compile(r"\s*([\w.:-]+)\s*(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?=\{)")
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class ToolFormat:
    """A way to write calls: `opening`, calls, `closing`, which is empty if calls go on to the end."""

    opening: str
    closing: str = ""
    arguments: str = "arguments"
    is_bare: bool = False
    """A whole answer may be calls without the opening."""
    newline: str = ""
    """What models write between the opening and the first call."""

    def controls(self, model: Model) -> Dict[int, str]:
        """The marks that are control tokens of the model, so that text does not show them."""

        found = {}
        for mark in (self.opening, self.closing, "[ARGS]", "[CALL_ID]"):
            tokens = model.tokenize(mark, bos=False) if mark else []
            if len(tokens) == 1 and model.token(tokens[0]).type == "control":
                found[tokens[0]] = mark
        return found

    def schema(self, tools: Tools) -> Dict[str, Any]:
        """The JSON schema of a call of one of the tools that are forced."""

        return {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"name": {"const": name}, self.arguments: tools.schema(name)},
                    "required": ["name", self.arguments],
                    "additionalProperties": False,
                }
                for name in tools.forced
            ]
        }


HERMES = ToolFormat("<tool_call>", "</tool_call>", newline="\n")
MISTRAL = ToolFormat("[TOOL_CALLS]")
GRANITE = ToolFormat("<|tool_call|>")
LLAMA = ToolFormat("<|python_tag|>", arguments="parameters", is_bare=True)


def format_of(template: Optional[str]) -> Optional[ToolFormat]:
    """How a model with this chat template writes calls; None if that is not known."""

    if template is None or "<function=" in template:
        return None
    for found in (HERMES, MISTRAL, GRANITE, LLAMA):
        if found.opening in template:
            return found
    is_llama = "<|start_header_id|>" in template and '"parameters"' in template
    return LLAMA if is_llama else None


def calls_of(text: str) -> List[ToolCall]:
    """The calls that are written between two marks; none if it is anything else."""

    named = NAMED.match(text)
    if named:
        rows = _json_values(text[named.end() :])
        rows = [{"name": named[1], "arguments": row} for row in rows] if len(rows) == 1 else []
    else:
        rows = [row for value in _json_values(text) for row in (value if isinstance(value, list) else [value])]
    calls = [_call(row) for row in rows]
    return [call for call in calls if call is not None] if None not in calls else []


def _json_values(text: str) -> List[Any]:
    """JSON values one behind the other, with white space, commas or semicolons between them."""

    values: List[Any] = []
    end = 0
    while True:
        end += len(text[end:]) - len(text[end:].lstrip(" \t\r\n;,"))
        if end == len(text):
            return values
        try:
            value, end = DECODER.raw_decode(text, end)
        except (ValueError, RecursionError):
            return []
        values.append(value)


def _call(row: Any) -> Optional[ToolCall]:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        return None
    arguments = row.get("arguments", row.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    return ToolCall(row["name"], arguments) if isinstance(arguments, dict) else None


class ToolReader:
    """Parts an answer, as it comes, into text and calls.

    Text that may be the beginning of a mark is held back, and so is a call until it is complete.
    """

    def __init__(self, form: ToolFormat, names: Sequence[str], is_parallel: bool) -> None:
        self._form = form
        self._names: FrozenSet[str] = frozenset(names)
        self._is_parallel = is_parallel
        self._text = ""  # what has not been given out
        self._space = ""  # white space in front of a mark, which goes if there is a call behind it
        self._has_begun = False  # something has been given out
        self.n_calls = 0

    def push(self, text: str) -> List[Part]:
        self._text += text
        return self._parts(is_last=False)

    def end(self) -> List[Part]:
        return self._parts(is_last=True)

    def _parts(self, is_last: bool) -> List[Part]:
        parts: List[Part] = []
        while self._text:
            is_call = self._text.startswith(self._form.opening)
            n, made = self._calls(is_last) if is_call else self._plain(is_last)
            if n == 0:
                break
            self._text = self._text[n:]
            parts += made
            self._has_begun = self._has_begun or bool(made)
        return parts

    def _plain(self, is_last: bool) -> Tuple[int, List[Part]]:
        """Text before the next mark: how much is done with, and what is given out."""

        text = self._text
        at = text.find(self._form.opening)
        if at < 0 and self._form.is_bare and not self._has_begun and text.lstrip()[:1] in ("", "{"):
            if not is_last:
                return 0, []
            calls = [call for call in calls_of(text) if call.name in self._names]
            return len(text), self._allowed(calls) if calls else [text]
        if at < 0 and is_last:
            return len(text), [] if self.n_calls and not text.strip() else [text]
        n = at if at >= 0 else len(text) - _beginning(text, self._form.opening)
        shown = text[:n].rstrip()
        if at >= 0:
            self._space = text[len(shown) : n]
            return n, [shown] if shown else []
        return len(shown), [shown]

    def _calls(self, is_last: bool) -> Tuple[int, List[Part]]:
        """The calls up to the closing mark, or to the next opening one, or to the end."""

        text, opening, closing = self._text, self._form.opening, self._form.closing
        end = text.find(closing or opening, len(opening))
        if end < 0 and not is_last:
            return 0, []
        end = len(text) if end < 0 else end
        n = min(end + len(closing), len(text))
        calls = calls_of(text[len(opening) : end])
        made: List[Part] = self._allowed(calls) if calls else [self._space + text[:n]]
        self._space = ""
        return n, made

    def _allowed(self, calls: List[ToolCall]) -> List[Part]:
        n = len(calls) if self._is_parallel else max(0, 1 - self.n_calls)
        self.n_calls += len(calls)
        return list(calls[:n])


def _beginning(text: str, mark: str) -> int:
    """How many characters at the end of a text may be the beginning of a mark."""

    for n in range(min(len(mark) - 1, len(text)), 0, -1):
        if mark.startswith(text[-n:]):
            return n
    return 0
