"""OpenAI's /v1/chat/completions: requests to what the engine is asked, and its answers back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from . import _openai as openai
from ._asks import ChatAsk, ToolCall, Tools, Usage
from ._fields import Fields, kind, short, wrong
from ._parts import PlainReader
from ._problems import Problem
from ._settings import Limits
from ._tools import Part
from ._wire import sse

if TYPE_CHECKING:
    from .._job import Choice, Event, JobResult

ROLES = ("system", "developer", "user", "assistant", "tool")


# ---- Requests ----


def chat_ask(fields: Fields, limits: Limits) -> ChatAsk:
    fields.need("messages")
    for name in ("functions", "function_call"):
        fields.refuse(name, "use tools and tool_choice")
    for name in ("audio", "web_search_options"):
        fields.refuse(name, "this server answers with text only")
    made = openai.sampling(fields, limits, limits.answer_tokens)
    tops = fields.integer("top_logprobs", 0, 0, 20)
    if fields.flag("logprobs"):
        made.logprobs = tops
    elif tops:
        raise Problem("top_logprobs needs logprobs: true", param="top_logprobs")
    tools = read_tools(fields)
    schema = openai.response_schema(fields)
    if tools is not None and schema is not None:
        raise Problem("response_format cannot be joined with tools", param="response_format")
    options = fields.object("stream_options")
    names = fields.object("chat_template_kwargs")
    return ChatAsk(
        read_messages(fields, limits),
        made,
        tools=tools,
        schema=schema,
        names={} if names is None else names.members(),
        stream=fields.flag("stream"),
        include_usage=options is not None and options.flag("include_usage"),
    )


def read_messages(fields: Fields, limits: Limits) -> List[Dict[str, Any]]:
    """Messages as chat templates take them."""

    rows = fields.array("messages")
    if not 1 <= len(rows) <= limits.messages:
        raise wrong("messages", f"an array of {len(rows)}", f"from 1 to {limits.messages} (--max-messages)")
    called: Dict[str, str] = {}
    return [_message(row, called) for row in fields.objects("messages")]


def _message(row: Fields, called: Dict[str, str]) -> Dict[str, Any]:
    row.need("role")
    role = row.word("role", ROLES, "")
    if role != "assistant":
        row.need("content")
    made: Dict[str, Any] = {"role": "system" if role == "developer" else role, "content": content(row)}
    if role == "assistant":
        calls = [_call(call, called) for call in row.objects("tool_calls")]
        if calls:
            made["tool_calls"] = calls
    elif role == "tool":
        id = row.text("tool_call_id", "")
        made["tool_call_id"] = id
        made["name"] = row.text("name", called.get(id, ""))
    return made


def content(row: Fields) -> str:
    """The text of a message, which may come in parts."""

    value = row.any("content")
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        raise wrong(row.place("content"), kind(value), "a string or an array of parts")
    texts = []
    for part in row.objects("content"):
        found = part.text("type", "")
        if found not in ("text", "refusal"):
            raise wrong(part.place("type"), short(found), '"text": this server takes text only')
        part.need(found)
        texts.append(part.text(found, ""))
    return "".join(texts)


def _call(row: Fields, called: Dict[str, str]) -> Dict[str, Any]:
    """A call of an earlier answer. Its arguments become an object, as templates expect them."""

    row.need("function")
    function = row.object("function")
    assert function is not None
    function.need("name")
    name, id = function.text("name", ""), row.text("id", "")
    called[id] = name
    try:
        arguments = json.loads(function.text("arguments", "") or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise wrong(function.place("arguments"), "no JSON object", "a string that is one")
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def read_tools(fields: Fields) -> Optional[Tools]:
    rows: List[Dict[str, Any]] = []
    names: List[str] = []
    for row in fields.objects("tools"):
        if row.text("type", "function") != "function":
            raise wrong(row.place("type"), short(row.any("type")), '"function"')
        row.need("function")
        function = row.object("function")
        assert function is not None
        function.need("name")
        function.object("parameters")
        names.append(function.text("name", ""))
        rows.append({"type": "function", "function": function.members()})
    forced = _forced(fields, names)
    if not rows or forced is None:
        return None
    return Tools(rows, forced, fields.flag("parallel_tool_calls", True))


def _forced(fields: Fields, names: List[str]) -> Optional[Tuple[str, ...]]:
    """Tools of which one must be called; None if none may be."""

    choice = fields.any("tool_choice")
    if isinstance(choice, dict):
        named = fields.object("tool_choice")
        function = named.object("function") if named is not None else None
        name = "" if function is None else function.text("name", "")
        if name not in names:
            raise wrong("tool_choice.function.name", short(name), "the name of one of the tools")
        return (name,)
    word = fields.word("tool_choice", ("none", "auto", "required"), "auto")
    if word == "required" and not names:
        raise Problem('tool_choice "required" needs tools', param="tool_choice")
    return None if word == "none" else tuple(names) if word == "required" else ()


# ---- Answers ----


def call_body(call: ToolCall) -> Dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def logprobs_body(spell: openai.Spell, rows: Sequence[Any]) -> Dict[str, Any]:
    """Of rows with token, logprob and top."""

    def entry(token: int, value: Optional[float]) -> Dict[str, Any]:
        data = spell(token).data
        value = openai.LEAST_LOGPROB if value is None else max(value, openai.LEAST_LOGPROB)
        return {"token": data.decode("utf-8", "replace"), "logprob": value, "bytes": list(data)}

    content = [{**entry(row.token, row.logprob), "top_logprobs": [entry(*top) for top in row.top]} for row in rows]
    return {"content": content, "refusal": None}


def logprobs_of(spell: openai.Spell, choice: Choice) -> Optional[Dict[str, Any]]:
    rows = openai.shown_logprobs(choice)
    return None if rows is None else logprobs_body(spell, rows)


def finish_reason(reason: str, has_calls: bool) -> str:
    finish = openai.finish_reason(reason)
    return "tool_calls" if has_calls and finish == "stop" else finish


def choice_body(index: int, parts: Sequence[Part], logprobs: Optional[Dict[str, Any]], reason: str) -> Dict[str, Any]:
    text = "".join(part for part in parts if isinstance(part, str))
    calls = [call_body(part) for part in parts if isinstance(part, ToolCall)]
    message: Dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    finish = finish_reason(reason, bool(calls))
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def chat_body(
    id: str, model: str, result: JobResult, parts: Sequence[Sequence[Part]], spell: openai.Spell
) -> Dict[str, Any]:
    """An answer, whose choices came in these parts."""

    choices = [
        choice_body(choice.index, part, logprobs_of(spell, choice), choice.reason)
        for choice, part in zip(result.choices, parts)
    ]
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": openai.usage_body(Usage.of([result])),
    }


class ChatStream:
    """The chunks of a stream, as bytes of server-sent events."""

    def __init__(self, id: str, model: str, ask: ChatAsk, readers: Sequence[PlainReader], spell: openai.Spell) -> None:
        self._head = {"id": id, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self._has_logprobs = ask.sampling.logprobs is not None
        self._include_usage = ask.include_usage
        self._readers = readers
        self._spell = spell
        self._n_calls = [0] * len(readers)

    def begin(self) -> bytes:
        return b"".join(self._chunk(i, {"role": "assistant", "content": ""}) for i in range(len(self._readers)))

    def event(self, event: Event, job: int) -> bytes:
        i, reader = event.index, self._readers[event.index]
        parts = reader.push(event.text, event.token)
        if event.reason is not None:
            parts += reader.end()
        logprobs = None
        if self._has_logprobs and event.token is not None and event.reason != "end":
            logprobs = logprobs_body(self._spell, [event])
        text = "".join(part for part in parts if isinstance(part, str))
        made = b""
        if text or logprobs is not None:  # log-probabilities come with their token, even if its text is held back
            made = self._chunk(i, {"content": text}, logprobs)
        for part in parts:
            if isinstance(part, ToolCall):
                made += self._chunk(i, {"tool_calls": [{"index": self._n_calls[i], **call_body(part)}]})
                self._n_calls[i] += 1
        if event.reason is not None:
            made += self._chunk(i, {}, None, finish_reason(event.reason, self._n_calls[i] > 0))
        return made

    def _chunk(
        self, i: int, delta: Dict[str, Any], logprobs: Optional[Dict[str, Any]] = None, finish: Optional[str] = None
    ) -> bytes:
        choice = {"index": i, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        usage = {"usage": None} if self._include_usage else {}
        return sse({**self._head, "choices": [choice], **usage})

    def end(self, results: Sequence[JobResult]) -> bytes:
        return openai.stream_end(self._head, results, self._include_usage)

    def fail(self, problem: Problem) -> bytes:
        return openai.stream_failure(problem)
