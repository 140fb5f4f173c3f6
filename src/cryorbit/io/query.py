"""Queries on the columns of a table: a small language of comparisons that is read, checked and only then computed.

    query       comparison | not query | query and query | query or query | (query)
    comparison  value OP value [OP value ...]      with OP of  < <= > >= == !=
                | column in [values] | column not in [values] | "text" in column | "text" not in column
                | column.str.contains("text") | column.str.startswith("text") | column.str.endswith("text")
    value       column | number | "text" | True | False | value + value | - * / | -value | (value)

``&``, ``|`` and ``~`` stand for ``and``, ``or`` and ``not`` where comparisons are in parentheses, as in pandas. Columns
whose names are not names of Python stand in backquotes. Texts are taken as they stand: there are no patterns. Nothing
in a query is ever run as code: it is parsed, every part is held against the list above, and computed column by column.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

LONGEST, DEEPEST = 20_000, 40
"""Characters of a query; parts within parts."""
LARGEST = 1e30
"""No number is larger, of those written in a query."""
Value: TypeAlias = pd.Series | float | str | bool
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SUMS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TEXT_TESTS = ("contains", "startswith", "endswith")
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`([^`]*)`""")


class QueryError(ValueError):
    """The query is not of the language; the message says what in it is not."""


class UnknownColumnError(QueryError):
    """The query names a column that the table has not."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no column {name!r}")


def evaluate(query: str, table: pd.DataFrame) -> pd.Series:
    """For each row of ``table``, whether the query holds of it.

    Raises
    ------
    QueryError
        It is not of the language, compares numbers with texts, or says nothing of the rows.
    UnknownColumnError
        It names a column that the table has not.
    """
    if len(query) > LONGEST:
        raise QueryError(f"it is longer than {LONGEST:,} characters")
    plain, quoted = _without_backquotes(query)
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(f"(\n{plain}\n)", mode="eval").body
        return _Query(table, quoted).truth(tree, 0)
    except (SyntaxError, MemoryError, RecursionError):
        raise QueryError("it is not a comparison of columns") from None
    except ValueError as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError("it is not a comparison of columns") from None


def _without_backquotes(query: str) -> tuple[str, dict[str, str]]:
    """The query with a plain name for each column in backquotes, and the columns by these names."""
    names: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[1]
        names[f"_column_{len(names)}_"] = match[2]
        return f"_column_{len(names) - 1}_"

    return _QUOTED.sub(plain, query), names


@dataclass(frozen=True, slots=True)
class _Query:
    """A table, and the columns of it that a query named in backquotes."""

    table: pd.DataFrame
    quoted: Mapping[str, str]

    def truth(self, node: ast.expr, depth: int) -> pd.Series:
        """Whether a part of the query holds, row by row."""
        _require_shallow(depth)
        match node:
            case ast.BoolOp(op=op, values=values):
                return self._joined([self.truth(each, depth + 1) for each in values], isinstance(op, ast.And))
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() as op, right=right):
                parts = [self.truth(each, depth + 1) for each in (left, right)]
                return self._joined(parts, isinstance(op, ast.BitAnd))
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return ~self.truth(operand, depth + 1)
            case ast.Compare(left=left, ops=ops, comparators=others):
                values = [left, *others]
                pairs = zip(values, ops, values[1:], strict=False)
                return self._joined([self._compared(a, op, b, depth + 1) for a, op, b in pairs], True)
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=ast.Name() as name, attr="str"), attr=test),
                args=[ast.Constant(value=str() as text)],
                keywords=[],
            ) if test in _TEXT_TESTS:
                return _text_test(_texts(self.value(name, depth + 1)), test, text)
        raise QueryError(f"{_shown(node)} is neither true nor false of a particle")

    def value(self, node: ast.expr, depth: int) -> Value:
        """What a part of the query that is compared comes to: a column, a number or a text."""
        _require_shallow(depth)
        match node:
            case ast.Name(id=name):
                column = self.quoted.get(name, name)
                if column not in self.table:
                    raise UnknownColumnError(column)
                return self.table[column]
            case ast.Constant(value=bool() | str() as value):
                return value
            case ast.Constant(value=int() | float() as value):
                return _number(value)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                value = _numeric(self.value(operand, depth + 1))
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
                first, second = (_numeric(self.value(each, depth + 1)) for each in (left, right))
                if isinstance(op, ast.Div) and not isinstance(second, pd.Series) and second == 0:
                    raise QueryError("it divides by 0")
                return _SUMS[type(op)](first, second)
        raise QueryError(f"{_shown(node)} is not a column, number or text")

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int) -> pd.Series | bool:
        if isinstance(op, ast.In | ast.NotIn):
            contained = self._contained(left, right, depth)
            return ~contained if isinstance(op, ast.NotIn) else contained
        if type(op) not in _COMPARISONS:
            raise QueryError("it compares in a way that is none of < <= > >= == != in")
        first, second = self.value(left, depth), self.value(right, depth)
        if _is_text(first) != _is_text(second):
            raise QueryError("it compares a text with a number")
        return _COMPARISONS[type(op)](first, second)

    def _contained(self, left: ast.expr, right: ast.expr, depth: int) -> pd.Series:
        """Whether a column's value is one of a list, or a text is part of it."""
        if isinstance(right, ast.List | ast.Tuple | ast.Set):
            column, values = _column(self.value(left, depth)), [self.value(each, depth) for each in right.elts]
            if any(isinstance(each, pd.Series) or _is_text(each) != _is_text(column) for each in values):
                raise QueryError("the list holds other than numbers, or texts, to compare the column with")
            return column.isin(values)
        text = self.value(left, depth)
        if not isinstance(text, str):
            raise QueryError("only a text can be in a column; a number is in a list: column in [1, 2]")
        return _text_test(_texts(self.value(right, depth)), "contains", text)

    @staticmethod
    def _joined(parts: Sequence[pd.Series | bool], every: bool) -> pd.Series:
        """All, or any, of the parts; a comparison of mere numbers says nothing of the rows."""
        columns = [part for part in parts if isinstance(part, pd.Series)]
        if len(columns) < len(parts):
            raise QueryError("a part of it is neither true nor false of a particle")
        joined = columns[0].astype(bool)
        for each in columns[1:]:
            joined = joined & each if every else joined | each
        return joined


def _require_shallow(depth: int) -> None:
    if depth > DEEPEST:
        raise QueryError(f"it has more than {DEEPEST} parts within parts")


def _number(value: float) -> float:
    if not abs(value) <= LARGEST or not math.isfinite(value):
        raise QueryError("a number in it is too large")
    return value


def _is_text(value: Value) -> bool:
    if isinstance(value, pd.Series):
        return not pd.api.types.is_numeric_dtype(value) and not pd.api.types.is_bool_dtype(value)
    return isinstance(value, str)


def _numeric(value: Value) -> Any:
    if _is_text(value) or isinstance(value, bool):
        raise QueryError("it computes with something that is not a number")
    return value.astype(np.float64) if isinstance(value, pd.Series) else float(value)


def _texts(value: Value) -> pd.Series:
    if not isinstance(value, pd.Series) or not _is_text(value):
        raise QueryError("it looks for a text where there is none")
    return value.astype(str)


def _text_test(column: pd.Series, test: str, text: str) -> pd.Series:
    if test == "contains":
        return column.str.contains(text, regex=False).astype(bool)
    return getattr(column.str, test)(text).astype(bool)


def _column(value: Any) -> pd.Series:
    if not isinstance(value, pd.Series):
        raise QueryError("a part of it is neither true nor false of a particle")
    return value


def _shown(node: ast.expr) -> str:
    return repr(ast.unparse(node)[:60])
