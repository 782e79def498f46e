"""The paths of OpenAI's and Anthropic's APIs.

Each reads a request and begins to answer it in another thread: long texts to tokens take long. Of what was read, only
that stays which the answer is written with; a client could otherwise fill the memory with requests that wait.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from starlette.requests import Request
from starlette.responses import Response

from .._tokens import token_array
from . import _anthropic as anthropic
from . import _anthropic_answers as anthropic_answers
from . import _openai as openai
from . import _openai_chat as openai_chat
from . import _openai_text as openai_text
from ._answers import Service, finished, new_id, parts_of
from ._asks import Usage
from ._fields import Fields, wrong
from ._parts import PlainReader
from ._responses import EventStream, route
from ._wire import json_response

if TYPE_CHECKING:
    from .._job import Job

# ---- OpenAI ----


async def chat(service: Service, request: Request) -> Response:
    id = new_id("chatcmpl-")

    def begin(fields: Fields) -> Tuple[str, Job, List[PlainReader], Optional[openai_chat.ChatStream]]:
        name = openai.check_model(fields, service.settings.names)
        ask = openai_chat.chat_ask(fields, service.limits)
        job, readers, _ = service.submit_chat(ask)
        return name, job, readers, openai_chat.ChatStream(id, name, ask, readers, service.spell) if ask.stream else None

    name, job, readers, writer = await service.read(request, begin)
    if writer is not None:
        return EventStream(service, [job], writer)
    result, parts = await parts_of(request, job, readers)
    return await service.beside(lambda: json_response(openai_chat.chat_body(id, name, result, parts, service.spell)))


async def complete(service: Service, request: Request) -> Response:
    id = new_id("cmpl-")

    def begin(fields: Fields) -> Tuple[str, List[Job], Optional[openai_text.TextStream]]:
        name = openai.check_model(fields, service.settings.names)
        ask = openai_text.text_ask(fields, service.limits)
        jobs = service.submit_texts(ask)
        return name, jobs, openai_text.TextStream(id, name, ask, service.spell) if ask.stream else None

    name, jobs, writer = await service.read(request, begin)
    if writer is not None:
        return EventStream(service, jobs, writer)
    results = await finished(request, jobs)
    return await service.beside(lambda: json_response(openai_text.text_body(id, name, results, service.spell)))


async def embed(service: Service, request: Request) -> Response:
    def begin(fields: Fields) -> Tuple[str, List[array[int]], str, str]:
        name = openai.check_model(fields, service.settings.names)
        fields.need("input")
        rows = openai.prompt_rows(fields, "input", service.limits.inputs)
        form = fields.word("encoding_format", ("float", "base64"), "float")
        pooling = fields.word("pooling", ("mean", "last"), "mean")
        size = service.model.info.hidden_size
        if fields.integer("dimensions", size, 1) != size:
            raise wrong("dimensions", str(fields.any("dimensions")), f"{size}, the size of the model's, or nothing")
        return name, [token_array(row) for row in service.prompts(rows)], form, pooling

    name, tokens, form, pooling = await service.read(request, begin)
    vectors = await service.embed(request, tokens, pooling)
    n_tokens = sum(map(len, tokens))
    return await service.beside(lambda: json_response(openai.embeddings_body(name, vectors, form, n_tokens)))


async def models(service: Service, request: Request) -> Response:
    rows = [service.describe(name) for name in service.settings.names]
    ends = {"has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}  # as Anthropic's clients expect
    return json_response({"object": "list", "data": rows, **ends})


async def model(service: Service, request: Request) -> Response:
    name = openai.check_model(Fields({"model": request.path_params["name"]}), service.settings.names)
    return json_response(service.describe(name))


# ---- Anthropic ----


async def message(service: Service, request: Request) -> Response:
    id = new_id("msg_")

    def begin(fields: Fields) -> Tuple[str, Job, List[PlainReader], Optional[anthropic_answers.MessageStream]]:
        name = openai.check_model(fields, service.settings.names)
        ask = anthropic.chat_ask(fields, service.limits)
        job, readers, n = service.submit_chat(ask)
        return name, job, readers, anthropic_answers.MessageStream(id, name, readers[0], n) if ask.stream else None

    name, job, readers, writer = await service.read(request, begin)
    if writer is not None:
        return EventStream(service, [job], writer)
    result, [parts] = await parts_of(request, job, readers)
    choice, usage = result.choices[0], Usage.of([result])
    return json_response(anthropic_answers.message_body(id, name, parts, choice.reason, choice.stop, usage))


async def count_tokens(service: Service, request: Request) -> Response:
    def count(fields: Fields) -> int:
        openai.check_model(fields, service.settings.names)
        return len(service.conversation.tokens(anthropic.chat_ask(fields, service.limits, counts_only=True)))

    return json_response({"input_tokens": await service.read(request, count)})


# ---- Tokens ----


async def tokenize(service: Service, request: Request) -> Response:
    def tokens_of(fields: Fields) -> Response:
        if fields.has("messages"):
            tokens = service.conversation.tokens(openai_chat.chat_ask(fields, service.limits))
        else:
            fields.need("prompt")
            begins, is_special = fields.flag("add_special_tokens", True), fields.flag("special", True)
            tokens = service.tokenize(fields.text("prompt", ""), begins, is_special)
        made: Dict[str, Any] = {"tokens": tokens, "count": len(tokens), "max_model_len": service.context}
        if fields.flag("return_token_strs"):
            made["token_strs"] = [openai.spelled(service.spell(token).data) for token in tokens]
        return json_response(made)

    return await service.read(request, tokens_of)


async def detokenize(service: Service, request: Request) -> Response:
    def text_of(fields: Fields) -> Response:
        tokens = fields.array("tokens")
        if tokens and not openai.is_tokens(tokens):
            raise wrong("tokens", "an array of other things", "an array of tokens: integers that are not negative")
        return json_response({"prompt": service.model.detokenize(tokens, special=fields.flag("special"))})

    return await service.read(request, text_of)


ROUTES = [
    route("/v1/chat/completions", chat, "POST"),
    route("/v1/completions", complete, "POST"),
    route("/v1/embeddings", embed, "POST"),
    route("/v1/models", models, "GET"),
    route("/v1/models/{name:path}", model, "GET"),
    route("/v1/messages", message, "POST"),
    route("/v1/messages/count_tokens", count_tokens, "POST"),
    route("/tokenize", tokenize, "POST"),
    route("/detokenize", detokenize, "POST"),
]
