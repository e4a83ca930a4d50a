"""Check pickles without following them, and refuse those that could do harm.

A pickle is a program. torch.load(weights_only=True) follows it with a short list of harmless calls,
which bounds neither memory nor time: a long run of one-byte instructions can each make a container,
and sixty can nest tuples whose hash takes years. Both are looked for before.
"""

import pickletools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, BinaryIO

from torch.serialization import safe_globals

from core.errors import one_line

MOST_INSTRUCTIONS = 2_000_000
"""Pickle instructions in one file; a network of 1,000 layers takes about 100,000."""
LARGEST_TUPLE = 1000
"""Items of a tuple and of all tuples within it; a tensor's has about 20."""
LARGEST_INTEGER = 2**60  # greater ones can be chosen to have the same hash

_CALLED = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|parameter|parameter_with_state|sparse_tensor)"
    r"|torch (Size|device)"
    r"|torch\.serialization _get_layout"
    r"|collections OrderedDict"
)
"""What files of weights call, as "module name"; more could allocate memory, if not run code."""
_NAMED = re.compile(
    r"torch(\.cuda|\.storage)? \w+Storage"
    r"|torch (float\d*|double|half|bfloat16|u?int\d*|long|short|bool|complex\d+)"
)
"""What they refer to besides."""
_STAND_INS = (
    "argparse Namespace",
    "_codecs encode",
    "numpy dtype",
    "numpy ndarray",
    "numpy.core.multiarray scalar",
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "numpy._core.multiarray _reconstruct",
    "pathlib PosixPath",
    "pathlib WindowsPath",
)
"""What training scripts save beside the weights: read as a StandIn."""
_PLAIN = (
    *("BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("NONE", "NEWTRUE", "NEWFALSE"),
)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK, _DICTIONARY, _OTHER = object(), object(), object()

_one_at_a_time = Lock()


class UnsafePickleError(Exception):
    """What a pickle does that no file of weights needs, as the end of a sentence."""


class StandIn:
    """Takes the place of an object that is not needed: it forgets what it is given."""

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, _: Any) -> None:
        pass


@contextmanager
def stand_ins() -> Iterator[None]:
    """Within the block, torch.load reads what scripts save beside the weights as a StandIn."""
    names: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (StandIn, name.replace(" ", ".")) for name in _STAND_INS
    ]
    # torch keeps them for the whole process: of two blocks at once, one would end the other's.
    with _one_at_a_time, safe_globals(names):
        yield


def check_pickles(file: BinaryIO, count: int = 1) -> None:
    """Check `count` pickles that follow each other.

    Raises UnsafePickleError for one that refers to other things than weights, that torch.load does
    not understand, or that could take more time or memory than one of its size should.
    """
    followed = 0
    for _ in range(count):
        run = _DryRun()
        try:
            for instruction, argument, _ in pickletools.genops(file):
                followed += 1
                if followed > MOST_INSTRUCTIONS:
                    raise UnsafePickleError(
                        f"has more than {MOST_INSTRUCTIONS:,} pickle instructions, which no file "
                        "of weights needs"
                    )
                run.follow(instruction.name, argument)
        except UnsafePickleError:
            raise
        except Exception as error:  # pickletools raises whatever the bytes lead to
            raise UnsafePickleError(f"is damaged ({one_line(error)})") from error


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True, eq=False)
class _Tuple:
    items: list[Any]
    size: int  # with the items of all tuples within


class _DryRun:
    """Follows instructions on a stack of plain values, lists, tuples and opaque objects."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def follow(self, instruction: str, argument: Any) -> None:
        stack = self.stack
        match instruction:
            case "PROTO" | "STOP":
                pass
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "MARK":
                stack.append(_MARK)
            case "GLOBAL":
                stack.append(_global(argument))
            case "EMPTY_DICT":
                stack.append(_DICTIONARY)
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_SET":
                stack.append(_OTHER)
            case "APPEND":
                self._append([stack.pop()])
            case "APPENDS":
                self._append(self._since_mark())
            case "SETITEM":
                _check_keys(self._pop(2)[:1])
            case "SETITEMS":
                _check_keys(self._since_mark()[::2])
            case "TUPLE":
                stack.append(_tuple(self._since_mark()))
            case "REDUCE" | "NEWOBJ":
                stack.append(_called(*self._pop(2)))
            case "BUILD":
                _check_state(stack[-2], stack.pop())
            case "BINPERSID":
                _check_storage(stack.pop())
                stack.append(_OTHER)
            case _ if instruction in _TUPLES:
                stack.append(_tuple(self._pop(_TUPLES[instruction])))
            case _ if instruction in _PLAIN:
                stack.append(argument)
            case _:
                raise UnsafePickleError(
                    f"uses the pickle instruction {instruction}, which torch.save writes only when "
                    "it is given another pickle_protocol"
                )

    def _pop(self, count: int) -> list[Any]:
        start = len(self.stack) - count
        if start < 0:
            raise UnsafePickleError("is damaged (nothing is left on its stack)")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _since_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _append(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)


def _tuple(items: list[Any]) -> _Tuple:
    size = len(items) + sum(each.size for each in items if isinstance(each, _Tuple))
    if size > LARGEST_TUPLE:
        raise UnsafePickleError(
            f"nests tuples of more than {LARGEST_TUPLE:,} items, which no file of weights needs"
        )
    return _Tuple(items, size)


def _global(name: str) -> _Global:
    if _CALLED.fullmatch(name) or _NAMED.fullmatch(name) or name in _STAND_INS:
        return _Global(name)
    dotted = name.replace(" ", ".")[:100]
    raise UnsafePickleError(f"refers to {dotted!r}, which is no weight")


def _called(function: Any, arguments: Any) -> object:
    """Return what a call makes. Raises UnsafePickleError unless it is one that weights need."""
    if not isinstance(function, _Global) or not isinstance(arguments, _Tuple):
        raise UnsafePickleError("calls what is no function")
    if function.name == "collections OrderedDict":
        _check_items(arguments.items)
        return _DICTIONARY
    if _CALLED.fullmatch(function.name) is None and function.name not in _STAND_INS:
        raise UnsafePickleError(f"calls {function.name.replace(' ', '.')!r}")
    return _OTHER


def _check_items(arguments: list[Any]) -> None:
    """Check the keys of an OrderedDict that is made of a list of pairs, as Python 2 wrote it."""
    for pairs in arguments:
        for pair in pairs if isinstance(pairs, list) else [pairs]:
            items = pair.items if isinstance(pair, _Tuple) else pair
            _check_keys(items[:1] if isinstance(items, list) else [_OTHER])


def _check_state(target: Any, state: Any) -> None:
    """Allow a dictionary to be built from another only, whose keys were checked."""
    if target is _DICTIONARY and state is not _DICTIONARY and state is not None:
        raise UnsafePickleError("builds a dictionary of something else than one")


def _check_storage(key: Any) -> None:
    """Check the names that torch looks up: of a storage, and of a view of it."""
    items = key.items if isinstance(key, _Tuple) else [key]
    _check_keys(items[2:3])
    for item in items:
        if isinstance(item, _Tuple):
            _check_keys(item.items)


def _check_keys(keys: list[Any]) -> None:
    """Refuse what may take long to look up: tuples, and integers that can share their hash."""
    for key in keys:
        is_small = isinstance(key, int) and abs(key) < LARGEST_INTEGER
        if not (is_small or key is None or isinstance(key, str | bytes | float)):
            raise UnsafePickleError("has dictionaries with other keys than names and numbers")
