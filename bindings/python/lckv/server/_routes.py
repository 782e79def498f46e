"""The paths of OpenAI's and Anthropic's APIs."""

from __future__ import annotations

from typing import Any, Dict, List

from starlette.requests import Request
from starlette.responses import Response

from . import _anthropic as anthropic
from . import _anthropic_answers as anthropic_answers
from . import _openai as openai
from . import _openai_chat as openai_chat
from . import _openai_text as openai_text
from ._answers import Service, finished, new_id, parts_of, stream
from ._asks import Usage
from ._fields import Fields, wrong
from ._responses import EventStream, route
from ._wire import json_response

# ---- OpenAI ----


async def chat(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    name = openai.check_model(fields, service.settings.names)
    ask = openai_chat.chat_ask(fields, service.limits)
    job, readers, _ = await service.beside(service.submit_chat, ask)
    id = new_id("chatcmpl-")
    if ask.stream:
        writer = openai_chat.ChatStream(id, name, ask, readers, service.spell)
        return EventStream(stream(service, [job], writer))
    result, parts = await parts_of(request, job, readers)
    return await service.beside(lambda: json_response(openai_chat.chat_body(id, name, result, parts, service.spell)))


async def complete(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    name = openai.check_model(fields, service.settings.names)
    ask = openai_text.text_ask(fields, service.limits)
    jobs = await service.beside(service.submit_texts, ask)
    id = new_id("cmpl-")
    if ask.stream:
        return EventStream(stream(service, jobs, openai_text.TextStream(id, name, ask, service.spell)))
    results = await finished(request, jobs)
    return await service.beside(lambda: json_response(openai_text.text_body(id, name, results, service.spell)))


async def embed(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    name = openai.check_model(fields, service.settings.names)
    fields.need("input")
    rows = openai.prompt_rows(fields, "input", service.limits.inputs)
    form = fields.word("encoding_format", ("float", "base64"), "float")
    pooling = fields.word("pooling", ("mean", "last"), "mean")
    size = service.model.info.hidden_size
    if fields.integer("dimensions", size, 1) != size:
        raise wrong("dimensions", str(fields.any("dimensions")), f"{size}, the size of the model's, or nothing")
    tokens: List[List[int]] = await service.beside(service.prompts, rows)
    vectors = await service.embed(request, tokens, pooling)
    return json_response(openai.embeddings_body(name, vectors, form, sum(map(len, tokens))))


async def models(service: Service, request: Request) -> Response:
    rows = [service.describe(name) for name in service.settings.names]
    ends = {"has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}  # as Anthropic's clients expect
    return json_response({"object": "list", "data": rows, **ends})


async def model(service: Service, request: Request) -> Response:
    name = openai.check_model(Fields({"model": request.path_params["name"]}), service.settings.names)
    return json_response(service.describe(name))


# ---- Anthropic ----


async def message(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    name = openai.check_model(fields, service.settings.names)
    ask = anthropic.chat_ask(fields, service.limits)
    job, readers, n_prompt = await service.beside(service.submit_chat, ask)
    id = new_id("msg_")
    if ask.stream:
        return EventStream(stream(service, [job], anthropic_answers.MessageStream(id, name, readers[0], n_prompt)))
    result, [parts] = await parts_of(request, job, readers)
    choice = result.choices[0]
    return json_response(
        anthropic_answers.message_body(id, name, parts, choice.reason, choice.stop, Usage.of([result]))
    )


async def count_tokens(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    openai.check_model(fields, service.settings.names)
    ask = anthropic.chat_ask(fields, service.limits, counts_only=True)
    tokens = await service.beside(service.conversation.tokens, ask)
    return json_response({"input_tokens": len(tokens)})


# ---- Tokens ----


async def tokenize(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    if fields.has("messages"):
        ask = openai_chat.chat_ask(fields, service.limits)
        tokens = await service.beside(service.conversation.tokens, ask)
    else:
        fields.need("prompt")
        is_special = fields.flag("special", True)
        begins = fields.flag("add_special_tokens", True)
        text = fields.text("prompt", "")
        tokens = await service.beside(service.tokenize, text, begins, is_special)
    made: Dict[str, Any] = {"tokens": tokens, "count": len(tokens), "max_model_len": service.context}
    if fields.flag("return_token_strs"):
        made["token_strs"] = [openai.spelled(service.spell(token).data) for token in tokens]
    return json_response(made)


async def detokenize(service: Service, request: Request) -> Response:
    fields = await service.bodies.fields(request)
    tokens = fields.array("tokens")
    if tokens and not openai.is_tokens(tokens):
        raise wrong("tokens", "an array of other things", "an array of tokens: integers that are not negative")
    is_special = fields.flag("special")
    text = await service.beside(lambda: service.model.detokenize(tokens, special=is_special))
    return json_response({"prompt": text})


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
