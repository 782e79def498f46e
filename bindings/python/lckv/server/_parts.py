"""An answer as it comes, in parts: text, and calls of tools."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional

from ._asks import Tools
from ._tools import Part, ToolFormat, ToolReader, calls_of


class PlainReader:
    """All is text."""

    def push(self, text: str, token: Optional[int]) -> List[Part]:
        return [text] if text else []

    def end(self) -> List[Part]:
        return []


class CallsReader(PlainReader):
    """The model may call tools."""

    def __init__(self, form: ToolFormat, tools: Tools, controls: Mapping[int, str]) -> None:
        self._reader = ToolReader(form, [row["function"]["name"] for row in tools.rows], tools.is_parallel)
        self._controls = controls

    def push(self, text: str, token: Optional[int]) -> List[Part]:
        """Takes a piece of text and its token, which may be a mark that texts do not show."""

        mark = "" if token is None else self._controls.get(token, "")
        return self._reader.push(text + mark)

    def end(self) -> List[Part]:
        return self._reader.end()


class ForcedReader(PlainReader):
    """The whole answer is a call, as JSON; if it was cut off, it is left as text."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, text: str, token: Optional[int]) -> List[Part]:
        self._text += text
        return []

    def end(self) -> List[Part]:
        calls: List[Part] = list(calls_of(self._text))
        return calls or ([self._text] if self._text else [])


def reader_for(tools: Optional[Tools], form: Optional[ToolFormat], controls: Dict[int, str]) -> PlainReader:
    if tools is not None and tools.forced:
        return ForcedReader()
    return PlainReader() if tools is None or form is None else CallsReader(form, tools, controls)
