"""Conversations to tokens: by the library if it understands the model's template, else by Jinja."""

from __future__ import annotations

import ctypes
import importlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import _declarations as c
from ._errors import Unsupported
from ._library import library
from ._structs import encoded, written
from ._tokens import written_tokens

if TYPE_CHECKING:
    from ._model import Message, Model


def tokens(
    model: Model, messages: Sequence[Message], answer: bool, tools: Optional[List[Any]], names: Dict[str, Any]
) -> List[int]:
    plain = _plain(messages)
    refusal: Optional[Unsupported] = None
    if plain is not None and tools is None and not names:
        try:
            return written_tokens(library.lckv_chat_tokenize, model._handle, *_arguments(plain, answer))
        except Unsupported as error:
            refusal = error
    jinja = _jinja(refusal)
    template = jinja.Template.of(model, refusal)
    rows: List[int] = template.tokens(_mappings(messages), answer, tools, names)
    return rows


def text(
    model: Model, messages: Sequence[Message], answer: bool, tools: Optional[List[Any]], names: Dict[str, Any]
) -> str:
    plain = _plain(messages)
    refusal: Optional[Unsupported] = None
    if plain is not None and tools is None and not names:
        try:
            made = written(library.lckv_chat_format, model._handle, *_arguments(plain, answer))
            return made.decode("utf-8", "replace")
        except Unsupported as error:
            refusal = error
    jinja = _jinja(refusal)
    text: str = jinja.Template.of(model, refusal).text(_mappings(messages), answer, tools, names)
    return text


def _plain(messages: Sequence[Message]) -> Optional[List[Tuple[bytes, bytes]]]:
    """Roles and contents; None if there is more than the library takes."""

    plain = []
    for message in messages:
        if isinstance(message, Mapping):
            if message.keys() != {"role", "content"}:
                return None
            role, content = message["role"], message["content"]
        else:
            role, content = message
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        plain.append((encoded(role), encoded(content)))
    return plain


def _mappings(messages: Sequence[Message]) -> List[Mapping[str, Any]]:
    return [m if isinstance(m, Mapping) else {"role": m[0], "content": m[1]} for m in messages]


def _arguments(plain: List[Tuple[bytes, bytes]], answer: bool) -> Tuple[Any, ...]:
    messages = (c.lckv_message(role, len(role), text, len(text)) for role, text in plain)
    rows = (c.lckv_message * len(plain))(*messages)
    return rows, ctypes.sizeof(c.lckv_message), len(plain), c.LCKV_CHAT_ANSWER if answer else 0


def _jinja(refusal: Optional[Unsupported]) -> Any:
    """The module that needs Jinja; without it, why the library refused is what counts."""

    try:
        return importlib.import_module("lckv._jinja")
    except ImportError as error:
        if refusal is not None:
            raise Unsupported(f"{refusal}; or install Jinja for its sake: pip install lckv[chat]") from None
        raise ImportError(
            "messages with more than a role and a content, tools and further names are written by Jinja: "
            "pip install lckv[chat]"
        ) from error
