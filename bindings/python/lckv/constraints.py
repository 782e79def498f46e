"""Output that follows a JSON schema, a regular expression or a grammar.

    >>> schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    >>> grammar = lckv.constraints.json_schema(model, schema)
    >>> engine.submit("A cat as JSON: ", constraint=grammar).result().text
    >>> session.complete("A cat as JSON: ", sampler=lckv.Sampler(constraint=grammar()))

Before each token, those that cannot be a part of such a text lose their probability. llguidance finds out which these
are: ``pip install lckv[constraints]``. What comes out is as the grammar says if the text came to its own end, with the
reason "end"; `max_tokens` and stop strings may cut it off before.

A constraint need not come from here: anything with the methods of `Constraint` is one.
"""

from __future__ import annotations

import json
import re
import time
import weakref
from typing import TYPE_CHECKING, Any, List, Mapping, NamedTuple, Union

from . import _arrays
from ._arrays import Floats
from ._errors import InvalidArgument, Unsupported
from ._model import Model
from ._sampler import Constraint

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

LIMITS = {"step_lexer_fuel": 100_000, "step_max_items": 10_000, "max_lexer_states": 10_000}
"""The most work for a token, some milliseconds, and the most states of a text's lexer, of which each takes 1 to 2 KB.
Others wait meanwhile, so these are less than llguidance's own; schemas and patterns as people write them stay below."""
TOO_MUCH = re.compile("too (many|big|large|complex)|current row has", re.IGNORECASE)
"""What llguidance's messages say when a limit is reached."""
SECONDS, SECONDS_A_TOKEN = 0.5, 0.0005
"""The processor's time that one text may take: so much, and so much more with each token."""

LINE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

__all__ = ["Constraint", "Grammar", "Match", "json_object", "json_schema", "lark", "regex"]


def _too_much(what: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"the {what} needs too much work: {why}; simplify its patterns and repetitions")


def _llguidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise ImportError("constraints need llguidance: pip install lckv[constraints]") from error
    return llguidance


class _Vocabulary:
    """A model's tokens in the form that llguidance takes."""

    def __init__(self, model: Model) -> None:
        n = model.info.n_vocab
        if not model.info.has_tokenizer:
            raise Unsupported("a constraint is about text, and the model has no tokenizer")
        self.ends = [token for token in range(n) if model.is_end(token)]
        if not self.ends:
            raise Unsupported("the model has no token that ends a text, so a constrained one could not end")
        self.eos_token_id = self.ends[0]
        self.bos_token_id = model.bos
        self.special_token_ids: List[int] = []
        self.tokens: List[bytes] = []
        self._model = weakref.ref(model)
        self._adds_space = model.detokenize_bytes(model.tokenize("a", bos=False), continues=True) == b" a"
        for token in range(n):
            info = model.token(token)
            if info.type in ("control", "unknown") or token in self.ends:
                self.special_token_ids.append(token)
                self.tokens.append(info.text or b"<%d>" % token)
            else:  # some vocabularies spell a space in their own way, or bytes by number
                self.tokens.append(model.detokenize_bytes([token], continues=True) if info.text else b"")

    def __call__(self, text: Union[str, bytes]) -> List[int]:
        """The tokens of a text that continues another: without the space that some tokenizers put in front."""

        model, data = self._model(), text.encode() if isinstance(text, str) else text
        if model is None:
            return []
        if self._adds_space:
            tokens = model.tokenize(b"\n" + data, bos=False, special=False)
            for n in (1, 2):
                if model.detokenize_bytes(tokens[:n], continues=True) in (b"\n", b" \n"):
                    return tokens[n:]
        return model.tokenize(data, bos=False, special=False)


class _Text(NamedTuple):
    """A model's vocabulary for llguidance, and the tokens that end a text."""

    tokenizer: LLTokenizer
    ends: List[int]
    n_vocab: int


_texts: weakref.WeakKeyDictionary[Model, _Text] = weakref.WeakKeyDictionary()


def _text_of(model: Model) -> _Text:
    """Making it takes a second for a large vocabulary, so each model has one."""

    made = _texts.get(model)
    if made is None:
        llguidance = _llguidance()
        vocabulary = _Vocabulary(model)
        ends, n = vocabulary.ends, len(vocabulary.tokens)
        wrapper = llguidance.TokenizerWrapper(vocabulary)
        made = _texts[model] = _Text(llguidance.LLTokenizer(wrapper, n_vocab=n, eos_token=ends[0]), ends, n)
    return made


def _first_line(matcher: LLMatcher) -> str:
    """What is wrong; the lines that follow are about the insides of llguidance."""

    return matcher.get_error().partition("\n<")[0]


class Match:
    """One text that is matched with a grammar while it is generated: a `Constraint`."""

    def __init__(self, matcher: LLMatcher, text: _Text, what: str = "grammar") -> None:
        self._matcher = matcher
        self._what = what
        self._seconds_left = SECONDS
        self._ends = text.ends  # llguidance knows the first of them
        self._n_vocab = text.n_vocab
        self._bits: Any = _arrays.numpy().zeros(-(-text.n_vocab // 32) * 4, dtype="uint8")

    def mask(self, logits: Floats) -> None:
        """Sets the logits of tokens that may not come next to -inf."""

        numpy = _arrays.numpy()
        began = time.thread_time()
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.size)
        self._check(began)
        allowed = numpy.unpackbits(self._bits, count=self._n_vocab, bitorder="little")
        allowed[self._ends] = allowed[self._ends[0]]
        numpy.copyto(logits, -numpy.inf, where=allowed == 0)

    def accept(self, token: int) -> None:
        """Is told the token that was chosen."""

        began = time.thread_time()
        if not self._matcher.is_stopped():
            self._matcher.consume_token(self._ends[0] if token in self._ends else token)
        self._seconds_left += SECONDS_A_TOKEN
        self._check(began)

    def reset(self) -> None:
        """Begins again."""

        self._matcher.reset()
        self._seconds_left = SECONDS

    @property
    def is_complete(self) -> bool:
        """Whether the text so far is as the grammar says."""

        return self._matcher.is_accepting()

    def _check(self, began: float) -> None:
        self._seconds_left -= time.thread_time() - began
        if self._matcher.is_error():
            error = _first_line(self._matcher)
            if TOO_MUCH.search(error):
                raise _too_much(self._what, error)
            raise InvalidArgument(f"the text does not follow its {self._what} any more: {error}")
        if self._seconds_left < 0:
            raise _too_much(self._what, "to find out which tokens may come next takes too long")


class Grammar:
    """What texts of a model are to look like. A call of it makes a `Match` for one text, as `Engine` does for each."""

    def __init__(self, model: Model, grammar: str, what: str = "grammar") -> None:
        llguidance = _llguidance()
        limits = llguidance.LLParserLimits(verbose_errors=False, **LIMITS)
        self._what = what
        self._text = _text_of(model)
        self._matcher: LLMatcher = llguidance.LLMatcher(self._text.tokenizer, grammar, log_level=0, limits=limits)
        if self._matcher.is_error():
            error = _first_line(self._matcher)
            if TOO_MUCH.search(error):
                raise _too_much(what, error)
            raise InvalidArgument(f"the {what} cannot be used: {error}")

    def __call__(self) -> Match:
        return Match(self._matcher.deep_copy(), self._text, self._what)


def json_schema(model: Model, schema: Union[str, Mapping[str, Any]], *, whitespace: bool = False) -> Grammar:
    """JSON that a schema describes, in one line, as json.dumps writes it, or with any `whitespace` between its parts.

    With the latter, small models may go on with spaces for ever. Schemas with what llguidance does not know raise
    `InvalidArgument`, and so do those that need too much work; some patterns show only while a text is generated that
    they do, and end it by this error.
    """

    text = schema if isinstance(schema, str) else json.dumps(schema)
    try:
        options = {"whitespace_flexible": True} if whitespace else LINE
        grammar = _llguidance().LLMatcher.grammar_from_json_schema(text, defaults=options)
    except ValueError as error:
        raise InvalidArgument(f"the schema is not one: {error}") from error
    return Grammar(model, grammar, "schema")


def json_object(model: Model) -> Grammar:
    """Any JSON object."""

    return json_schema(model, {"type": "object"})


def regex(model: Model, pattern: str) -> Grammar:
    r"""Texts that a regular expression matches as a whole, as in ``regex(model, r"[0-9]{4}-[0-9]{2}")``."""

    return Grammar(model, _llguidance().LLMatcher.grammar_from_regex(pattern), "pattern")


def lark(model: Model, grammar: str) -> Grammar:
    """Texts of a grammar in llguidance's dialect of Lark."""

    return Grammar(model, _llguidance().LLMatcher.grammar_from_lark(grammar))
