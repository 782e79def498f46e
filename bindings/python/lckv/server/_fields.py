"""Reading JSON objects: each member is checked as it is taken, and a wrong one is named with its place."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Mapping, NoReturn, Optional, Sequence, Tuple, TypeVar, Union

from ._problems import Problem

T = TypeVar("T")

KINDS = {bool: "true or false", str: "a string", list: "an array", dict: "an object", type(None): "null"}
# How JSON spells half of a pair of surrogates, which alone is no character.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def parse(body: Union[bytes, bytearray]) -> Fields:
    """The object that a request's body is."""

    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        if SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"the body is no UTF-8: byte {error.start} is {body[error.start]:#04x}") from None
    except UnicodeEncodeError:
        raise Problem("a string of the body has half of a pair of surrogates, which is no character") from None
    except RecursionError:
        raise Problem("the body is nested too deeply") from None
    except ValueError as error:
        raise Problem(f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(f"the body is {kind(value)}; expected a JSON object")
    return Fields(value)


def kind(value: Any) -> str:
    """What a value is, in a few words."""

    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return short(value)
    return KINDS.get(type(value), type(value).__name__)


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def wrong(place: str, found: str, expected: str) -> Problem:
    return Problem(f"{place} is {found}; expected {expected}", param=place)


class Fields:
    """An object of a request. A member that is null counts as left out."""

    def __init__(self, members: Mapping[str, Any], place: str = "") -> None:
        self._members = members
        self._place = place

    def place(self, name: str) -> str:
        """Where a member is: "messages[2].content", say."""

        return f"{self._place}.{name}" if self._place else name

    def has(self, name: str) -> bool:
        return self._members.get(name) is not None

    def any(self, name: str) -> Any:
        """A member as it is; None if it is left out."""

        return self._members.get(name)

    def need(self, *names: str) -> None:
        """Refuses the object if one of these is left out."""

        for name in names:
            if not self.has(name):
                raise Problem(f"{self.place(name)} is missing", param=self.place(name))

    def refuse(self, name: str, why: str) -> None:
        """Refuses the object if a member is given that this server cannot honour."""

        if self.any(name) not in (None, False, [], {}):
            raise Problem(f"{self.place(name)}: {why}", param=self.place(name), code="unsupported_parameter")

    def text(self, name: str, default: T) -> str | T:
        value = self.any(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise wrong(self.place(name), kind(value), "a string")
        return value

    def word(self, name: str, words: Sequence[str], default: str) -> str:
        """One of some words."""

        value = self.text(name, default)
        if value not in words:
            choices = " or ".join(filter(None, (", ".join(map(short, words[:-1])), short(words[-1]))))
            raise wrong(self.place(name), short(value), choices)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.any(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise wrong(self.place(name), kind(value), "true or false")
        return value

    def integer(self, name: str, default: T, low: int, high: Optional[int] = None) -> int | T:
        value = self.any(name)
        if value is None:
            return default
        whole = value
        if isinstance(value, float) and value.is_integer():
            whole = int(value)
        bounds = f"from {low} to {high}" if high is not None else f"of at least {low}"
        if not isinstance(whole, int) or isinstance(whole, bool) or whole < low or (high is not None and whole > high):
            raise wrong(self.place(name), kind(value), f"an integer {bounds}")
        return whole

    def number(self, name: str, default: T, low: float, high: float) -> float | T:
        value = self.any(name)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise wrong(self.place(name), kind(value), f"a number from {low:g} to {high:g}")
        return float(value)

    def object(self, name: str) -> Optional[Fields]:
        value = self.any(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong(self.place(name), kind(value), "an object")
        return Fields(value, self.place(name))

    def array(self, name: str) -> List[Any]:
        value = self.any(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong(self.place(name), kind(value), "an array")
        return value

    def objects(self, name: str) -> Iterator[Fields]:
        """The members of an array of objects."""

        for i, value in enumerate(self.array(name)):
            place = f"{self.place(name)}[{i}]"
            if not isinstance(value, dict):
                raise wrong(place, kind(value), "an object")
            yield Fields(value, place)

    def texts(self, name: str, most: int) -> Tuple[str, ...]:
        """A string or an array of strings."""

        value = self.any(name)
        texts = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise wrong(self.place(name), kind(value), "a string or an array of strings")
        if len(texts) > most:
            raise wrong(self.place(name), f"an array of {len(texts)}", f"at most {most}")
        return tuple(texts)

    def members(self) -> Dict[str, Any]:
        """The members that are not left out, as they are."""

        return {name: value for name, value in self._members.items() if value is not None}
