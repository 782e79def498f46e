"""Chat templates that Jinja runs, in its sandbox, set up as templates expect it.

**Content and structure.** What a template writes may become special tokens; what messages say must not. But Jinja
gives one text. So a template is run twice: once with the messages, and once with messages in which every character,
but for white space, is replaced by one of Unicode's private use, each by one of its own. These *marks* show what came
from a message, wherever the template has put it, cut it or trimmed it. Words that the template itself names
("</think>", say, which it may look for) are not replaced, as long as no special token is in them.

If both runs agree, it is known of each character where it came from. If they do not, the template looks into the
messages in a way that marks cannot stand for, and the conversation is refused.

**Tokens.** If no message spells a special token, and none arises where message and structure meet, the whole text is
tokenized at once, as models were trained. Else the parts are tokenized one by one, those of messages without special
tokens. Tokenizers that would put a space in front of each part cannot do that, and the conversation is refused.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ._errors import BadFormat, InvalidArgument, Unsupported

if TYPE_CHECKING:
    from ._model import Model

# Planes 15 and 16. What lies there has no case, is no white space and means nothing to anybody.
PRIVATE = [*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE)]
IS_PRIVATE = re.compile("[\U000f0000-\U0010ffff]")
# Marks, with white space only between them.
MARKED = re.compile("[\U000f0000-\U0010ffff](?:\\s*[\U000f0000-\U0010ffff])*")


class Marks:
    """Stands for the characters of messages."""

    def __init__(self) -> None:
        self._marks: Dict[str, str] = {}
        self._characters: Dict[str, str] = {}

    def mark(self, text: str) -> str:
        return "".join(c if c.isspace() else self._mark(c) for c in text)

    def _mark(self, character: str) -> str:
        if character not in self._marks:
            if len(self._marks) == len(PRIVATE):
                raise Unsupported(f"the messages have more than {len(PRIVATE)} different characters")
            mark = chr(PRIVATE[len(self._marks)])
            self._marks[character], self._characters[mark] = mark, character
        return self._marks[character]

    def real(self, text: str) -> str:
        return IS_PRIVATE.sub(lambda found: self._characters.get(found[0], found[0]), text)

    def escaped(self, text: str) -> str:
        """JSON in which each mark becomes what its character is in JSON, marked."""

        return IS_PRIVATE.sub(lambda found: self.mark(json.dumps(self.real(found[0]), ensure_ascii=False)[1:-1]), text)


SHORT, MOST_SAFE = 16, 1024


class Part(NamedTuple):
    """A piece of the text, and whether messages say it."""

    text: str
    is_message: bool


_marks: ContextVar[Marks] = ContextVar("_marks")


class _Generation(Extension):
    """{% generation %}, which marks what the model said and writes nothing of its own."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> Any:
        return caller()


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    made = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    return _marks.get().escaped(made)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime(form)


@functools.lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    """The template, and the words that it names."""

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    if IS_PRIVATE.search(source):
        raise Unsupported("the chat template has characters of private use in it")
    try:
        parsed = environment.parse(source)
        template = environment.from_string(source)
    except TemplateError as error:
        raise BadFormat(f"Jinja cannot read the model's chat template: {error}") from error
    words = {node.value for node in parsed.find_all(nodes.Const) if isinstance(node.value, str)}
    return template, frozenset(word for word in words if word.strip())


def source_of(model: Model) -> Optional[str]:
    """The text of the model's template: in a GGUF file's metadata, or beside the model in its directory."""

    source = model.metadata.get("tokenizer.chat_template")
    if source is not None or not os.path.isdir(model._path):
        return source
    try:
        with open(os.path.join(model._path, "chat_template.jinja"), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        pass
    try:
        with open(os.path.join(model._path, "tokenizer_config.json"), encoding="utf-8") as file:
            found = json.load(file).get("chat_template")
    except (FileNotFoundError, ValueError, AttributeError):
        return None
    if isinstance(found, list):
        found = {row.get("name"): row.get("template") for row in found if isinstance(row, dict)}.get("default")
    return found if isinstance(found, str) else None


class Template:
    """A model's template, as Jinja runs it."""

    def __init__(self, model: Model, source: str) -> None:
        self._model = model
        self._template, self._words = _compiled(source)
        self._longest_first = sorted(self._words, key=len, reverse=True)
        self._controls: Dict[int, bool] = {}
        self._safe: Dict[str, bool] = {}  # the answers of _is_safe for short texts, most of which are one space

    @classmethod
    def of(cls, model: Model, refusal: Optional[Unsupported]) -> Template:
        source = source_of(model)
        if source is None:
            raise refusal if refusal is not None else Unsupported("the model has no chat template")
        return cls(model, source)

    def text(self, messages: List[Mapping[str, Any]], answer: bool, tools: Any, names: Dict[str, Any]) -> str:
        return self._render(Marks(), messages, answer, tools, names)

    def tokens(self, messages: List[Mapping[str, Any]], answer: bool, tools: Any, names: Dict[str, Any]) -> List[int]:
        return self._tokenize(self.parts(messages, answer, tools, names))

    def parts(self, messages: List[Mapping[str, Any]], answer: bool, tools: Any, names: Dict[str, Any]) -> List[Part]:
        """The text in parts that messages say and parts that the template writes."""

        marks = Marks()
        expected = self._render(Marks(), messages, answer, tools, names)
        marked = [self._marked_message(marks, message) for message in messages]
        found = self._render(marks, marked, answer, self._marked(marks, tools), names)
        if marks.real(found) != expected:
            at = next((i for i, (a, b) in enumerate(zip(marks.real(found), expected)) if a != b), 0)
            raise Unsupported(
                f"the model's chat template looks into what messages say, so that it cannot be told apart from what "
                f"the template writes (near {expected[max(0, at - 20) : at + 20]!r}); tokenize the parts of the "
                f"conversation yourself, what messages say with special=False"
            )
        parts, end = [], 0
        for match in MARKED.finditer(found):
            parts += [Part(found[end : match.start()], False), Part(marks.real(match[0]), True)]
            end = match.end()
        parts.append(Part(found[end:], False))
        return [part for part in parts if part.text]

    def _render(self, marks: Marks, messages: Any, answer: bool, tools: Any, names: Dict[str, Any]) -> str:
        model = self._model
        special = {"bos_token": model.bos, "eos_token": model.eos, "pad_token": model.padding}
        values: Dict[str, Any] = {name: self._spelling(token) for name, token in special.items() if token is not None}
        values.update(tools=tools, documents=None)
        values.update(names)
        token = _marks.set(marks)
        try:
            made: str = self._template.render(messages=messages, add_generation_prompt=answer, **values)
        except TemplateError as error:
            raise InvalidArgument(f"the model's chat template refuses these messages: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Unsupported(f"the model's chat template failed on these messages: {error!r}") from error
        finally:
            _marks.reset(token)
        return made

    def _spelling(self, token: int) -> str:
        return self._model.token(token).text.decode("utf-8", "replace")

    # ---- Marking ----

    def _marked_message(self, marks: Marks, message: Mapping[str, Any]) -> Dict[str, Any]:
        """A message with marks. Its role stays: templates compare it, and it may not hold a special token."""

        made: Dict[str, Any] = self._marked(marks, dict(message))
        role = message.get("role")
        if isinstance(role, str):
            self._check_name("role", role)
            made["role"] = role
        return made

    def _marked(self, marks: Marks, value: Any) -> Any:
        if isinstance(value, str):
            return self._marked_text(marks, value)
        if isinstance(value, Mapping):
            for key in value:
                self._check_name("name", str(key))
            return {key: self._marked(marks, member) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._marked(marks, member) for member in value]
        return value

    def _marked_text(self, marks: Marks, text: str) -> str:
        is_named = bytearray(character.isspace() for character in text)
        for word in self._longest_first:
            at = text.find(word)
            while at >= 0:
                is_named[at : at + len(word)] = b"\1" * len(word)
                at = text.find(word, at + 1)
        made, begin = [], 0
        while begin < len(text):
            end = begin + 1
            while end < len(text) and is_named[end] == is_named[begin]:
                end += 1
            run = text[begin:end]
            made.append(run if is_named[begin] and self._is_safe(run) else marks.mark(run))
            begin = end
        return "".join(made)

    def _is_safe(self, run: str) -> bool:
        """Whether white space and words that the template names may stay as they are."""

        found = self._safe.get(run)
        if found is None:
            found = not self._spells_special(run) and not IS_PRIVATE.search(run)
            if len(run) <= SHORT and len(self._safe) < MOST_SAFE:
                self._safe[run] = found
        return found

    def _check_name(self, what: str, name: str) -> None:
        if re.search("[\0-\x1f\x7f]", name) or IS_PRIVATE.search(name) or self._spells_special(name):
            raise InvalidArgument(f"the {what} {name!r} has a special token or a control character in it")

    # ---- Tokens ----

    def _tokenize(self, parts: List[Part]) -> List[int]:
        model = self._model
        structure: List[int] = []
        for part in parts:
            if not part.is_message:
                structure += self._specials(model.tokenize(part.text, bos=False))
        whole = model.tokenize("".join(part.text for part in parts), bos=False)
        is_clean = not any(part.is_message and self._spells_special(part.text) for part in parts)
        if is_clean and self._specials(whole) == structure:
            return whole
        tokens: List[int] = []
        for part in parts:
            made = model.tokenize(part.text, bos=False, special=not part.is_message)
            if model.detokenize_bytes(made, special=True, continues=True) != part.text.encode(
                "utf-8", "surrogateescape"
            ):
                raise Unsupported(
                    f"a message spells a special token, and the tokenizer of this model changes text between special "
                    f"tokens, so that {part.text[:40]!r} cannot be kept apart from what the chat template writes; "
                    f"take the special token out of the message"
                )
            tokens += made
        return tokens

    def _spells_special(self, text: str) -> bool:
        model = self._model
        return model.tokenize(text, bos=False) != model.tokenize(text, bos=False, special=False)

    def _specials(self, tokens: List[int]) -> List[int]:
        for token in set(tokens) - self._controls.keys():
            self._controls[token] = self._model.token(token).type in ("control", "unknown")
        return [token for token in tokens if self._controls[token]]
