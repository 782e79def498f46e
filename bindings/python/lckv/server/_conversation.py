"""Conversations to tokens, by the model's chat template or one that the server was started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from .._errors import Error, Unsupported
from ._asks import ChatAsk
from ._problems import Problem, too_long
from ._tools import ToolFormat, format_of

if TYPE_CHECKING:
    from .._model import Model

LONG_TEXT = 1 << 16
"""Characters of which it takes no time to say how many tokens they are, compared with what a template does to them."""

OWN_NAMES = {"add_generation_prompt", "answer", "messages", "self", "tools"}
"""Names of the template that the request gives by itself."""

NO_TEMPLATE = (
    "the model {name!r} has no chat template, so it cannot hold conversations; start the server with "
    "--chat-template FILE, or let it go on with a text: /v1/completions"
)


class Conversation:
    """How conversations with a model are written, and how it writes calls of tools."""

    def __init__(self, model: Model, name: str, most_tokens: int, template: Optional[str] = None) -> None:
        self._model = model
        self._name = name
        self._most_tokens = most_tokens
        self._own: Any = None
        if template is None:
            self.source = _source_of(model)
        else:
            self.source = template
            self._own = _compiled(model, template)
        self.can_chat = self.source is not None
        self.tool_format: Optional[ToolFormat] = format_of(self.source)
        self.tool_marks: Dict[int, str] = {} if self.tool_format is None else self.tool_format.controls(model)

    def tokens(self, ask: ChatAsk) -> List[int]:
        """The tokens of a conversation, up to where the model's answer goes on."""

        if not self.can_chat:
            raise Problem(NO_TEMPLATE.format(name=self._name), code="no_chat_template")
        self._check_length(ask)
        taken = sorted(ask.names.keys() & OWN_NAMES)
        if taken:
            raise Problem(f"chat_template_kwargs cannot give {', '.join(taken)}", param="chat_template_kwargs")
        tools = None if ask.tools is None else ask.tools.rows
        try:
            if self._own is not None:
                made: List[int] = self._own.tokens(ask.messages, True, tools, ask.names)
            else:
                made = self._model.chat(ask.messages, tools=tools, **ask.names)
        except (Error, ImportError) as error:
            raise Problem(str(error), param="messages") from error
        if ask.tools is not None and ask.tools.forced:
            made = made + self._opening()
        if ask.beginning:
            made = made + self._model.tokenize(ask.beginning, bos=False, special=False)
        return made

    def _check_length(self, ask: ChatAsk) -> None:
        """Refuses long texts that could never fit before a template takes seconds to write them."""

        texts = list(_texts_of([ask.messages, None if ask.tools is None else ask.tools.rows, ask.names]))
        if sum(map(len, texts)) > LONG_TEXT:
            n = sum(len(self._model.tokenize(text, bos=False, special=False)) for text in texts)
            if n > self._most_tokens:
                raise too_long(n, self._most_tokens)

    def _opening(self) -> List[int]:
        """What stands in front of a call, for models that have to make one."""

        form = self.tool_format
        if form is None:
            raise Problem(
                "tool_choice: how this model writes calls of tools is not known, so that it cannot be made to; "
                'leave it to the model ("auto")',
                param="tool_choice",
            )
        return [] if form.is_bare else self._model.tokenize(form.opening + form.newline, bos=False)


def _texts_of(value: Any) -> Iterator[str]:
    """All strings in a value of JSON, the names of members among them."""

    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for member in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts_of(member)


def _source_of(model: Model) -> Optional[str]:
    """The text of the model's own template; without Jinja, only what a GGUF file says can be found."""

    try:
        from .._jinja import source_of
    except ImportError:
        return model.metadata.get("tokenizer.chat_template")
    return source_of(model)


def _compiled(model: Model, source: str) -> Any:
    try:
        from .._jinja import Template
    except ImportError:
        raise Unsupported("--chat-template needs Jinja: pip install lckv[chat]") from None
    return Template(model, source)
