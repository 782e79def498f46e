"""OpenAI's wire format: what its paths have in common.

Nothing here waits or computes. Members that are not known are ignored, as OpenAI's clients expect of servers; those
that would change an answer in a way that this server cannot are refused.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ._asks import Sampling, Usage
from ._fields import Fields, kind, wrong
from ._problems import Problem
from ._settings import Limits
from ._wire import error_body, sse

if TYPE_CHECKING:
    from .._job import Choice, JobResult, TokenLogprob


class Spelled(NamedTuple):
    """How a token is written."""

    data: bytes
    is_text: bool
    """Whether it is part of texts; control tokens are not."""


Spell = Callable[[int], Spelled]

LEAST_LOGPROB = -9999.0
"""What stands for impossible tokens, whose log-probability JSON cannot write."""

FINISH = {"end": "stop", "string": "stop"}
"""Reasons of the engine; all others end an answer where it is: "length"."""


def check_model(fields: Fields, names: Sequence[str]) -> str:
    """The model that is asked for, which must be the one that there is; it may be left out."""

    name = fields.text("model", names[0])
    if name not in names:
        raise Problem(
            f"there is no model {name!r}; this server has {', '.join(map(repr, names))} (--name gives it others)",
            status=404,
            param="model",
            code="model_not_found",
        )
    return name


# ---- Requests ----


def sampling(fields: Fields, limits: Limits, default_tokens: int, least_tokens: int = 1) -> Sampling:
    """Members that chat and plain completions have in common, and some that other servers have, too."""

    wanted = fields.integer("max_completion_tokens", fields.integer("max_tokens", default_tokens, least_tokens), 1)
    return Sampling(
        max_tokens=min(wanted, limits.answer_tokens),
        stop=stop_strings(fields, "stop", limits),
        n=fields.integer("n", 1, 1, limits.choices),
        temperature=fields.number("temperature", 1.0, 0, 2),
        top_k=fields.integer("top_k", 0, -1, 1 << 20),
        top_p=fields.number("top_p", 1.0, 0, 1),
        min_p=fields.number("min_p", 0.0, 0, 1),
        seed=fields.integer("seed", None, -(1 << 63), (1 << 64) - 1),
        repetition_penalty=fields.number("repetition_penalty", 1.0, 0.01, 100),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -2, 2),
        presence_penalty=fields.number("presence_penalty", 0.0, -2, 2),
        logit_bias=_logit_bias(fields, limits),
        ignore_end=fields.flag("ignore_eos"),
    )


def stop_strings(fields: Fields, name: str, limits: Limits) -> Tuple[str, ...]:
    stops = fields.texts(name, limits.stops)
    if "" in stops:
        raise wrong(fields.place(name), "an empty string", "strings with something in them")
    return stops


def _logit_bias(fields: Fields, limits: Limits) -> Optional[Dict[int, float]]:
    biases = fields.object("logit_bias")
    if biases is None:
        return None
    n = len(biases.members())
    if n > limits.biases:
        raise wrong("logit_bias", f"an object with {n} members", f"at most {limits.biases}")
    made = {}
    for name in biases.members():
        if not name.isascii() or not name.isdigit() or len(name) > 9:
            raise wrong(biases.place(name), "no number of a token", 'numbers as names: {"1234": -100}')
        made[int(name)] = biases.number(name, 0.0, -100, 100)
    return made


def response_schema(fields: Fields) -> Optional[Dict[str, Any]]:
    """The JSON schema that an answer is to have."""

    form = fields.object("response_format")
    if form is None:
        return None
    wanted = form.word("type", ("text", "json_object", "json_schema"), "text")
    if wanted == "text":
        return None
    if wanted == "json_object":
        return {"type": "object"}
    form.need("json_schema")
    named = form.object("json_schema")
    schema = named.object("schema") if named is not None else None
    return {"type": "object"} if schema is None else schema.members()


def prompt_rows(fields: Fields, name: str, most: int) -> List[Union[str, List[int]]]:
    """A text, tokens, or an array of either."""

    value = fields.any(name)
    place = fields.place(name)
    rows = value if isinstance(value, list) and not is_tokens(value) else [value]
    if not rows:
        raise wrong(place, "empty", "a text or tokens")
    if len(rows) > most:
        raise wrong(place, f"an array of {len(rows)}", f"at most {most}")
    for i, row in enumerate(rows):
        if not isinstance(row, str) and not is_tokens(row):
            raise wrong(f"{place}[{i}]" if rows is value else place, kind(row), "a string or an array of tokens")
    return rows


def is_tokens(value: Any) -> bool:
    """Whether it is an array of numbers that may be tokens."""

    if not isinstance(value, list) or not value:
        return False
    return all(type(token) is int and 0 <= token < 1 << 31 for token in value)


# ---- Answers ----


def finish_reason(reason: str) -> str:
    return FINISH.get(reason, "length")


def usage_body(usage: Usage) -> Dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.generated,
        "total_tokens": usage.prompt + usage.generated,
        "prompt_tokens_details": {"cached_tokens": usage.reused},
    }


def shown_logprobs(choice: Choice) -> Optional[Sequence[TokenLogprob]]:
    """Without the token that ended the answer, which has no text."""

    rows = choice.logprobs
    return rows[:-1] if rows is not None and choice.reason == "end" else rows


def spelled(text: bytes) -> str:
    """The text of a token. Of one that is not whole characters, its bytes as OpenAI writes them."""

    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in text)


def embeddings_body(model: str, vectors: Sequence[Sequence[float]], form: str, n_tokens: int) -> Dict[str, Any]:
    """Embeddings as numbers, or as base64 of little-endian float32, which is a fifth of that."""

    def written(vector: Sequence[float]) -> Any:
        if form == "float":
            return list(vector)
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")

    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": written(row)} for i, row in enumerate(vectors)],
        "model": model,
        "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens},
    }


def model_body(name: str, created: int, **more: Any) -> Dict[str, Any]:
    """A model as OpenAI tells of it, and beside that as Anthropic does, at the same path."""

    date = datetime.fromtimestamp(created, timezone.utc).isoformat()
    anthropic = {"type": "model", "display_name": name, "created_at": date}
    return {"id": name, "object": "model", "created": created, "owned_by": "lckv", **anthropic, **more}


def stream_end(head: Dict[str, Any], results: Sequence[JobResult], include_usage: bool) -> bytes:
    """The last events of a stream."""

    usage = {**head, "choices": [], "usage": usage_body(Usage.of(results))}
    return (sse(usage) if include_usage else b"") + sse(b"[DONE]")


def stream_failure(problem: Problem) -> bytes:
    """The last events of a stream that an error ended."""

    return sse(error_body("", problem)) + sse(b"[DONE]")


def options_of(made: Sampling) -> Dict[str, Any]:
    """The options of `Engine.submit`."""

    options = asdict(made)
    options["top_k"] = max(0, made.top_k)  # some clients write -1 for none
    return options
