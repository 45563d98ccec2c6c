"""DynamoDB's condition and update expressions, as many of them as the engine uses; anything else raises.

    condition  = test {"AND" test}
    test       = "attribute_exists" "(" path ")" | "attribute_not_exists" "(" path ")" | path ("=" | ">=") operand
    operand    = path | :value
    path       = name {"." name}          name = identifier | #placeholder
    update     = "SET" name "=" :value {"," name "=" :value}

Compiled once per text. Items and values are in DynamoDB's own notation (``{"N": "5"}``) and are never changed in place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from chalicelib.store.connection import Item

Attribute = dict[str, Any]

_TOKEN = re.compile(r"\s*([:#]?[A-Za-z_][A-Za-z_0-9]*|>=|=|\(|\)|\.)")
_SET = re.compile(r"(#?[A-Za-z_]\w*) = (:\w+)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


class NotSimulated(Exception):
    """Something that DynamoDB may well take, but this simulator does not know: teach it first."""


class InvalidRequest(Exception):
    """DynamoDB would answer ValidationException."""


class Scope:
    """The scope of an expression: the item as it is, and what the placeholders stand for."""

    __slots__ = ("item", "names", "values")

    def __init__(self, item: Item, names: Mapping[str, str], values: Mapping[str, Attribute]) -> None:
        self.item = item
        self.names = names
        self.values = values

    def path(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Returns a path with its placeholders replaced."""
        return tuple([self.names[part] if part[0] == "#" else part for part in parts])

    def at(self, parts: tuple[str, ...]) -> Attribute | None:
        """Returns the attribute at a path, if there is one."""
        attributes = self.item
        found: Attribute | None = None
        for name in self.path(parts):
            found = attributes.get(name)
            if found is None:
                return None
            attributes = found.get("M", {})
        return found


Test = Callable[[Scope], bool]
Operand = Callable[[Scope], Attribute | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition, and the placeholders that it uses."""

    tests: tuple[Test, ...]
    placeholders: frozenset[str]

    def holds(self, scope: Scope) -> bool:
        """Returns true if all of its tests hold."""
        return all(test(scope) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Update:
    """A compiled update: the attributes that it sets, and the placeholders of their values."""

    sets: tuple[tuple[str, str], ...]

    @property
    def placeholders(self) -> frozenset[str]:
        """The placeholders that it uses."""
        return frozenset(part for pair in self.sets for part in pair if part[0] in ":#")

    def values(self, scope: Scope) -> Item:
        """Returns the attributes that it sets."""
        return {scope.path((name,))[0]: scope.values[value] for name, value in self.sets}


def check_placeholders(used: frozenset[str], names: Mapping[str, str], values: Mapping[str, Attribute]) -> None:
    """Requires every placeholder to be defined, and used.

    Raises:
        InvalidRequest: one is not.
    """
    defined = {*names, *values}
    if used != defined:
        raise InvalidRequest(f"undefined: {sorted(used - defined)}, unused: {sorted(defined - used)}")


@cache
def condition(text: str) -> Condition:
    """Compiles a condition.

    Raises:
        NotSimulated: it is not of the subset above.
    """
    parser = _Parser(text)
    tests = [parser.test()]
    while parser.skip("AND"):
        tests.append(parser.test())
    parser.end()
    return Condition(tuple(tests), frozenset(parser.placeholders))


@cache
def update(text: str) -> Update:
    """Compiles an update.

    Raises:
        NotSimulated: it is not of the subset above.
    """
    if not text.startswith("SET "):
        raise NotSimulated(text)
    sets = [_SET.fullmatch(part) for part in text.removeprefix("SET ").split(", ")]
    if None in sets:
        raise NotSimulated(text)
    return Update(tuple([(found[1], found[2]) for found in sets if found is not None]))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self.placeholders: set[str] = set()

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def skip(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.skip(token):
            raise NotSimulated(f"{token!r} is expected before {self._next()!r} in {self._text!r}")

    def end(self) -> None:
        if self._next():
            raise NotSimulated(f"{self._next()!r} in {self._text!r}")

    def test(self) -> Test:
        for function, exists in (("attribute_exists", True), ("attribute_not_exists", False)):
            if self.skip(function):
                self.expect("(")
                path = self._path()
                self.expect(")")
                return _existence(path, exists=exists)
        path = self._path()
        for sign, comparison in (("=", _equal), (">=", _at_least)):
            if self.skip(sign):
                return comparison(path, self._operand())
        raise NotSimulated(f"{self._next()!r} in {self._text!r}")

    def _operand(self) -> Operand:
        token = self._next()
        if token.startswith(":"):
            self._at += 1
            self.placeholders.add(token)
            return lambda scope: scope.values[token]
        path = self._path()
        return lambda scope: scope.at(path)

    def _path(self) -> tuple[str, ...]:
        parts = [self._name()]
        while self.skip("."):
            parts.append(self._name())
        return tuple(parts)

    def _name(self) -> str:
        token = self._next()
        if not _IDENTIFIER.fullmatch(token.removeprefix("#")):
            raise NotSimulated(f"{token!r} in {self._text!r}")
        if token.startswith("#"):
            self.placeholders.add(token)
        self._at += 1
        return token


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotSimulated(f"{text[at:]!r} in {text!r}")
        yield found[1]
        at = found.end()


def _existence(path: tuple[str, ...], *, exists: bool) -> Test:
    return lambda scope: (scope.at(path) is not None) == exists


def _equal(path: tuple[str, ...], operand: Operand) -> Test:
    def test(scope: Scope) -> bool:
        left = scope.at(path)
        return left is not None and left == operand(scope)

    return test


def _at_least(path: tuple[str, ...], operand: Operand) -> Test:
    def test(scope: Scope) -> bool:
        left, right = scope.at(path), operand(scope)
        if left is None or right is None:
            return False
        return _number(left) >= _number(right)

    return test


def _number(attribute: Attribute) -> int:
    if "N" not in attribute:
        raise NotSimulated(f"{attribute} among numbers")
    return int(attribute["N"])
