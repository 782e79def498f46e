"""Anthropic's /v1/messages: answers of the engine to JSON and to events of a stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from ._asks import ToolCall, Usage
from ._parts import PlainReader
from ._problems import Problem
from ._tools import Part
from ._wire import error_body, sse

if TYPE_CHECKING:
    from .._job import Event, JobResult

STOPS = {"end": "end_turn", "string": "stop_sequence"}
"""Reasons of the engine; all others end an answer where it is: "max_tokens"."""


def usage_body(usage: Usage) -> Dict[str, Any]:
    """Tokens that are read from the cache are not among the input tokens."""

    return {
        "input_tokens": usage.prompt - usage.reused,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.reused,
        "output_tokens": usage.generated,
    }


def stop_reason(reason: str, has_calls: bool) -> str:
    found = STOPS.get(reason, "max_tokens")
    return "tool_use" if has_calls and found != "max_tokens" else found


def block_body(part: Part) -> Dict[str, Any]:
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    return {"type": "text", "text": part}


def blocks_of(parts: Sequence[Part]) -> List[Dict[str, Any]]:
    """The blocks of an answer; pieces of text that follow each other are one."""

    blocks: List[Dict[str, Any]] = []
    for part in parts:
        if isinstance(part, str) and blocks and blocks[-1]["type"] == "text":
            blocks[-1]["text"] += part
        else:
            blocks.append(block_body(part))
    return blocks


def message_body(
    id: str, model: str, parts: Sequence[Part], reason: Optional[str], stop: Optional[str], usage: Usage
) -> Dict[str, Any]:
    """A message. In the first event of a stream it has no parts and no reason yet."""

    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks_of(parts),
        "stop_reason": None if reason is None else stop_reason(reason, has_calls),
        "stop_sequence": stop,
        "usage": usage_body(usage),
    }


class MessageStream:
    """The events of a stream, as bytes."""

    def __init__(self, id: str, model: str, reader: PlainReader, n_prompt: int) -> None:
        self._id = id
        self._model = model
        self._reader = reader
        self._n_prompt = n_prompt
        self._n_blocks = 0
        self._is_open = False  # a block of text
        self._has_calls = False
        self._reason = "error"

    def begin(self) -> bytes:
        message = message_body(self._id, self._model, (), None, None, Usage(self._n_prompt))
        return _event("message_start", message=message)

    def event(self, event: Event, job: int) -> bytes:
        parts = self._reader.push(event.text, event.token)
        if event.reason is not None:
            parts += self._reader.end()
            self._reason = event.reason
        return b"".join(map(self._part, parts))

    def _part(self, part: Part) -> bytes:
        if isinstance(part, str):
            return self._open() + self._delta({"type": "text_delta", "text": part})
        self._has_calls = True
        arguments = json.dumps(part.arguments, ensure_ascii=False)
        made = self._close() + self._start({**block_body(part), "input": {}})
        self._is_open = True
        return made + self._delta({"type": "input_json_delta", "partial_json": arguments}) + self._close()

    def _open(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        return self._start(block_body(""))

    def _start(self, block: Dict[str, Any]) -> bytes:
        return _event("content_block_start", index=self._n_blocks, content_block=block)

    def _delta(self, delta: Dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._n_blocks, delta=delta)

    def _close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        self._n_blocks += 1
        return _event("content_block_stop", index=self._n_blocks - 1)

    def end(self, results: Sequence[JobResult]) -> bytes:
        stop = results[0].choices[0].stop
        delta = {"stop_reason": stop_reason(self._reason, self._has_calls), "stop_sequence": stop}
        made = self._close() + _event("message_delta", delta=delta, usage=usage_body(Usage.of(results)))
        return made + _event("message_stop")

    def fail(self, problem: Problem) -> bytes:
        return sse(error_body("/v1/messages", problem), "error")


def _event(name: str, **members: Any) -> bytes:
    return sse({"type": name, **members}, name)
