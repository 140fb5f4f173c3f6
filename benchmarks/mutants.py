"""Mutants of source files: one operator, number, condition or statement changed, found by the syntax, never by hand.

What cannot change behaviour is left alone: docstrings, annotations, and the words of messages.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
}
FUNCTIONS = {
    one: other
    for pair in (("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("clamp_min", "clamp_max"), ("any", "all"))
    for one, other in (pair, pair[::-1])
}
"""Names of functions and methods, and those that they are taken for."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change to a file: the bytes from ``start`` to ``end``, at a line, replaced.

    Attributes
    ----------
    file
        Source file.
    kind
        What was changed: "comparison", "arithmetic", "boolean", "constant", "condition", "function" or "statement".
    line, start, end
        Where; bytes are those of the file.
    before, after
        Source text.
    """

    file: Path
    kind: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def source(self) -> bytes:
        """The file with the change made."""
        content = self.file.read_bytes()
        return content[: self.start] + self.after.encode() + content[self.end :]


def find_mutants(file: Path) -> list[Mutant]:
    """All mutants of a source file, in the order of its lines."""
    content = file.read_bytes()
    lengths = [len(line) for line in content.splitlines(keepends=True)]
    begins = [sum(lengths[:number]) for number in range(len(lengths))]
    found = []
    for node, kind, after in _changes(ast.parse(content)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset
        found.append(Mutant(file, kind, node.lineno, start, end, content[start:end].decode(), after))
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.after))


Change = tuple[ast.expr | ast.stmt, str, str]
"""A node, the kind of the change, and what is put in the node's place."""


def _changes(node: ast.AST) -> Iterator[Change]:
    """Changes of a node and of all below it that are carried out when the program runs."""
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr):
        yield from _of_expression(node)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changes(child)


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.While):
        yield node.test, "condition", _text(ast.UnaryOp(ast.Not(), node.test))
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    renewed = isinstance(node, ast.Assign) and bool(_names(node.targets) & _names([node.value]))
    if called or renewed or isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
        yield node, "statement", "pass"
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        changed = ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        yield node, "arithmetic", ast.unparse(changed)


def _of_expression(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                operators = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield node, "comparison", _text(ast.Compare(node.left, operators, node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield node, "arithmetic", _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node, "arithmetic" if isinstance(node.op, ast.USub) else "boolean", _text(node.operand)
    elif isinstance(node, ast.BoolOp):
        other_way = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "boolean", _text(ast.BoolOp(other_way, node.values))
    elif isinstance(node, ast.IfExp):
        yield node.test, "condition", _text(ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield node, "constant", str(_other(node.value))
    elif isinstance(node, ast.Name) and node.id in FUNCTIONS:
        yield node, "function", FUNCTIONS[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
        yield node, "function", ast.unparse(ast.Attribute(node.value, FUNCTIONS[node.attr], ast.Load()))


def _other(number: bool | float) -> bool | float:
    """A number that is not this one: the opposite, one more, or twice as much."""
    if isinstance(number, bool):
        return not number
    return number + 1 if isinstance(number, int) or number == 0 else 2 * number


def _names(nodes: list[ast.expr]) -> set[str]:
    return {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}


def _text(node: ast.expr) -> str:
    """Source text that binds together wherever it is put."""
    return f"({ast.unparse(node)})"
