"""Anthropic's /v1/messages: requests to what the engine is asked."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ._asks import ChatAsk, Sampling, Tools
from ._fields import Fields, kind, short, wrong
from ._openai import stop_strings
from ._problems import Problem
from ._settings import Limits


def chat_ask(fields: Fields, limits: Limits, counts_only: bool = False) -> ChatAsk:
    """What is asked; with `counts_only`, the conversation alone."""

    fields.need("messages", *(() if counts_only else ("max_tokens",)))
    tools = read_tools(fields)
    output = fields.object("output_config")
    form = output.object("format") if output is not None else None
    schema = None if form is None else _schema(form)
    if tools is not None and schema is not None:
        raise Problem("output_config.format cannot be joined with tools", param="output_config")
    messages = read_messages(fields, limits)
    beginning = ""
    if messages[-1]["role"] == "assistant" and "tool_calls" not in messages[-1]:
        beginning = messages.pop()["content"]
    return ChatAsk(
        messages,
        _sampling(fields, limits, counts_only),
        tools=tools,
        schema=schema,
        beginning=beginning,
        stream=fields.flag("stream"),
    )


def _sampling(fields: Fields, limits: Limits, counts_only: bool) -> Sampling:
    wanted = fields.integer("max_tokens", limits.answer_tokens, 1)
    return Sampling(
        max_tokens=min(wanted, limits.answer_tokens),
        stop=stop_strings(fields, "stop_sequences", limits),
        temperature=fields.number("temperature", 1.0, 0, 2),
        top_p=fields.number("top_p", 1.0, 0, 1),
        top_k=fields.integer("top_k", 0, 0, 1 << 20),
        seed=fields.integer("seed", None, -(1 << 63), (1 << 64) - 1),
    )


def _schema(form: Fields) -> Dict[str, Any]:
    form.word("type", ("json_schema",), "json_schema")
    form.need("schema")
    schema = form.object("schema")
    assert schema is not None
    return schema.members()


def read_messages(fields: Fields, limits: Limits) -> List[Dict[str, Any]]:
    """Messages as chat templates take them: the system's first, results of tools as messages of their own."""

    rows = fields.array("messages")
    if not 1 <= len(rows) <= limits.messages:
        raise wrong("messages", f"an array of {len(rows)}", f"from 1 to {limits.messages} (--max-messages)")
    system = _text(fields, "system")
    made: List[Dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    called: Dict[str, str] = {}
    for row in fields.objects("messages"):
        row.need("role", "content")
        role = row.word("role", ("user", "assistant"), "")
        made += _assistant(row, called) if role == "assistant" else _user(row, called)
    return made


def _text(fields: Fields, name: str) -> str:
    """A text, or blocks of text."""

    value = fields.any(name)
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        raise wrong(fields.place(name), kind(value), "a string or an array of blocks")
    texts = []
    for block in fields.objects(name):
        if block.text("type", "") != "text":
            raise _unknown(block, '"text"')
        block.need("text")
        texts.append(block.text("text", ""))
    return "".join(texts)


def _unknown(block: Fields, expected: str) -> Problem:
    return wrong(block.place("type"), short(block.any("type")), f"{expected}: this server takes text only")


def _blocks(row: Fields) -> List[Fields]:
    value = row.any("content")
    if isinstance(value, str):
        return [Fields({"type": "text", "text": value}, row.place("content"))]
    if not isinstance(value, list):
        raise wrong(row.place("content"), kind(value), "a string or an array of blocks")
    return list(row.objects("content"))


def _user(row: Fields, called: Dict[str, str]) -> List[Dict[str, Any]]:
    """Results of tools, and behind them what the user says."""

    made, texts = [], []
    for block in _blocks(row):
        found = block.text("type", "")
        if found == "text":
            block.need("text")
            texts.append(block.text("text", ""))
        elif found == "tool_result":
            block.need("tool_use_id")
            id = block.text("tool_use_id", "")
            result = {
                "role": "tool",
                "content": _text(block, "content"),
                "tool_call_id": id,
                "name": called.get(id, ""),
            }
            made.append(result)
        else:
            raise _unknown(block, '"text" or "tool_result"')
    return made + ([{"role": "user", "content": "".join(texts)}] if texts or not made else [])


def _assistant(row: Fields, called: Dict[str, str]) -> List[Dict[str, Any]]:
    texts, calls = [], []
    for block in _blocks(row):
        found = block.text("type", "")
        if found == "text":
            block.need("text")
            texts.append(block.text("text", ""))
        elif found == "tool_use":
            block.need("id", "name")
            name, id = block.text("name", ""), block.text("id", "")
            called[id] = name
            arguments = block.object("input")
            function = {"name": name, "arguments": {} if arguments is None else arguments.members()}
            calls.append({"id": id, "type": "function", "function": function})
        elif found not in ("thinking", "redacted_thinking"):  # earlier thoughts are not read again
            raise _unknown(block, '"text" or "tool_use"')
    made: Dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if calls:
        made["tool_calls"] = calls
    return [made]


def read_tools(fields: Fields) -> Optional[Tools]:
    """Tools in the shape of OpenAI, which is that of chat templates."""

    rows: List[Dict[str, Any]] = []
    names: List[str] = []
    for row in fields.objects("tools"):
        if row.text("type", "custom") != "custom":
            raise wrong(row.place("type"), short(row.any("type")), '"custom": this server runs no tools itself')
        row.need("name", "input_schema")
        names.append(row.text("name", ""))
        function: Dict[str, Any] = {"name": names[-1]}
        if row.has("description"):
            function["description"] = row.text("description", "")
        schema = row.object("input_schema")
        function["parameters"] = {} if schema is None else schema.members()
        rows.append({"type": "function", "function": function})
    forced, is_parallel = _choice(fields, names)
    return None if not rows or forced is None else Tools(rows, forced, is_parallel)


def _choice(fields: Fields, names: List[str]) -> Tuple[Optional[Tuple[str, ...]], bool]:
    """Tools of which one must be called, or None if none may be; and whether several calls may come."""

    choice = fields.object("tool_choice")
    if choice is None:
        return (), True
    is_parallel = not choice.flag("disable_parallel_tool_use")
    wanted = choice.word("type", ("auto", "any", "tool", "none"), "auto")
    if wanted == "tool":
        name = choice.text("name", "")
        if name not in names:
            raise wrong("tool_choice.name", short(name), "the name of one of the tools")
        return (name,), is_parallel
    if wanted == "any" and not names:
        raise Problem('tool_choice "any" needs tools', param="tool_choice")
    return (None if wanted == "none" else tuple(names) if wanted == "any" else ()), is_parallel
