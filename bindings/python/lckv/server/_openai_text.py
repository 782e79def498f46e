"""OpenAI's /v1/completions: requests to what the engine is asked, and its answers back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from . import _openai as openai
from ._asks import TextAsk, Usage
from ._fields import Fields, wrong
from ._problems import Problem
from ._settings import Limits
from ._wire import sse

if TYPE_CHECKING:
    from .._job import Event, JobResult


def text_ask(fields: Fields, limits: Limits) -> TextAsk:
    """/v1/completions"""

    fields.need("prompt")
    fields.refuse("suffix", "this server goes on with texts; it does not fill gaps")
    made = openai.sampling(fields, limits, 16, least_tokens=0)
    best_of = fields.integer("best_of", made.n, 1)
    if best_of != made.n:
        raise wrong("best_of", str(best_of), f"n ({made.n}), or nothing")
    made.logprobs = fields.integer("logprobs", None, 0, 20)
    prompts = openai.prompt_rows(fields, "prompt", limits.choices)
    if len(prompts) * made.n > limits.choices:
        raise Problem(
            f"{len(prompts)} prompts with {made.n} answers each are more than {limits.choices} (--max-choices)",
            param="prompt",
        )
    echo = fields.flag("echo")
    if made.max_tokens == 0 and not echo:
        raise wrong("max_tokens", "0", "at least 1, or echo")
    options = fields.object("stream_options")
    return TextAsk(
        prompts,
        made,
        schema=openai.response_schema(fields),
        echo=echo,
        stream=fields.flag("stream"),
        include_usage=options is not None and options.flag("include_usage"),
    )


# ---- Answers ----


def text_head(id: str, model: str) -> Dict[str, Any]:
    """What every answer of /v1/completions, and every event of its streams, begins with."""

    return {"id": id, "object": "text_completion", "created": int(time.time()), "model": model}


def text_choice(index: int, text: str, logprobs: Optional[Dict[str, Any]], reason: Optional[str]) -> Dict[str, Any]:
    finish = None if reason is None else openai.finish_reason(reason)
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def text_body(id: str, model: str, results: Sequence[JobResult], spell: openai.Spell) -> Dict[str, Any]:
    """An answer of /v1/completions: the choices of all prompts, one behind the other."""

    choices: List[Dict[str, Any]] = []
    for choice in (choice for result in results for choice in result.choices):
        rows = openai.shown_logprobs(choice)
        logprobs = None if rows is None else TextLogprobs(spell).body(rows)
        choices.append(text_choice(len(choices), choice.text, logprobs, choice.reason))
    return {**text_head(id, model), "choices": choices, "usage": openai.usage_body(Usage.of(results))}


class TextLogprobs:
    """Log-probabilities as /v1/completions writes them; tokens may come one by one."""

    def __init__(self, spell: openai.Spell) -> None:
        self._spell = spell
        self._offset = 0

    def body(self, rows: Sequence[Any]) -> Dict[str, Any]:
        """Of rows with token, logprob and top."""

        made: Dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for row in rows:
            token = self._spell(row.token)
            made["tokens"].append(openai.spelled(token.data))
            made["token_logprobs"].append(None if row.logprob is None else max(row.logprob, openai.LEAST_LOGPROB))
            tops = {
                openai.spelled(self._spell(token).data): max(value, openai.LEAST_LOGPROB) for token, value in row.top
            }
            made["top_logprobs"].append(None if row.logprob is None else tops)
            made["text_offset"].append(self._offset)
            self._offset += len(openai.spelled(token.data)) if token.is_text else 0
        return made


class TextStream:
    """The events of a stream of /v1/completions, as bytes."""

    def __init__(self, id: str, model: str, ask: TextAsk, spell: openai.Spell) -> None:
        self._head = text_head(id, model)
        self._n = ask.sampling.n
        self._has_logprobs = ask.sampling.logprobs is not None
        self._include_usage = ask.include_usage
        self._logprobs = [TextLogprobs(spell) for _ in range(len(ask.prompts) * self._n)]

    def begin(self) -> bytes:
        return b""

    def event(self, event: Event, job: int) -> bytes:
        i = job * self._n + event.index
        logprobs = None
        if self._has_logprobs and event.token is not None and event.reason != "end":
            logprobs = self._logprobs[i].body([event])
        if not event.text and logprobs is None and event.reason is None:
            return b""
        choice = text_choice(i, event.text, logprobs, event.reason)
        return sse({**self._head, "choices": [choice], **({"usage": None} if self._include_usage else {})})

    def end(self, results: Sequence[JobResult]) -> bytes:
        return openai.stream_end(self._head, results, self._include_usage)

    def fail(self, problem: Problem) -> bytes:
        return openai.stream_failure(problem)
