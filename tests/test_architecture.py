"""The rules of the house, read off the source: floors, cycles, file lengths, print, and who may name a device."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cryorbit"
FLOORS = (
    {"core", "kernels"},
    {"execution", "geometry", "fourier", "optim"},
    {"volumes", "io"},
    {"imaging"},
    {"inference", "moments", "simulate"},
    {"evaluation"},
    {"recipes"},
    {"studies"},
    {"report"},
    {"api"},
    {"cli"},
    {"__main__"},
)
FLOOR_OF = {package: number for number, packages in enumerate(FLOORS) for package in packages}
KNOWING_DEVICES = {"kernels.kernel", "core.memory", "core.tagged", "io.provenance"}
"""Ask for the kind of a device: to choose a kernel, to measure its memory, to put things back, to tell its name."""
LONGEST_FILE = 500
FILES = sorted(SOURCE.rglob("*.py"))


def module_name(file: Path) -> str:
    """Dotted name of a source file within the package: ``io.star``, ``io`` for its ``__init__``."""
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that a file imports, anywhere in it, as dotted names within the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("cryorbit.") for name in names if name.startswith("cryorbit."))


def rule_breaks(importer: str, imported: str) -> str | None:
    """Say what is wrong with a module importing another, or None."""
    above, below = importer.partition(".")[0], imported.partition(".")[0]
    if below not in FLOOR_OF or above == below:
        return None
    if FLOOR_OF[below] > FLOOR_OF[above]:
        return f"{importer} imports up: {imported}"
    if FLOOR_OF[below] == FLOOR_OF[above]:
        return f"{importer} imports sideways: {imported}"
    return None


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """A cycle of a directed graph as the list of its nodes, or None."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str] | None:
        if node in trail:
            return trail[trail.index(node) :]
        if node in done:
            return None
        for neighbour in sorted(graph.get(node, ())):
            if cycle := visit(neighbour, [*trail, node]):
                return cycle
        done.add(node)
        return None

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), None)


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def test_every_package_has_a_floor() -> None:
    packages = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    assert packages <= set(FLOOR_OF)
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_point_down(file: Path) -> None:
    importer = module_name(file)
    breaks = [problem for name in imported_modules(parse(file)) if (problem := rule_breaks(importer, name))]
    assert breaks == []


def test_there_is_no_import_cycle() -> None:
    modules = {module_name(file) for file in FILES}
    graph: dict[str, set[str]] = {}
    for file in FILES:
        names = set(imported_modules(parse(file)))
        targets = {name if name in modules else name.rpartition(".")[0] for name in names}
        graph[module_name(file)] = (targets & modules) - {""}
    assert find_cycle(graph) is None


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_files_are_short_and_have_a_docstring(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(parse(file))


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_nothing_prints(file: Path) -> None:
    calls = [node for node in ast.walk(parse(file)) if isinstance(node, ast.Call)]
    assert not [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_only_one_room_and_the_command_line_name_a_device(file: Path) -> None:
    if module_name(file).startswith(("cli", "api.devices")):
        return
    assert "cuda" not in file.read_text().lower()


def asks_for_a_kind_of_device(tree: ast.AST) -> list[int]:
    """Lines that ask what kind of device something is on."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_device = "device" in (getattr(node.value, "attr", None), getattr(node.value, "id", None))
            if node.attr in {"is_cpu", "is_cuda", "is_mps", "is_xpu"} or (node.attr == "type" and of_device):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_only_the_table_of_kernels_asks_where_a_tensor_is(file: Path) -> None:
    if module_name(file) not in KNOWING_DEVICES:
        assert asks_for_a_kind_of_device(parse(file)) == []


def test_the_exceptions_to_that_rule_need_it() -> None:
    asking = {module_name(file) for file in FILES if asks_for_a_kind_of_device(parse(file))}
    assert asking == KNOWING_DEVICES


@pytest.mark.parametrize(
    ("importer", "imported", "breaks"),
    [
        ("core.data", "io.star", True),
        ("geometry.rotations", "fourier.shells", True),
        ("volumes.voxel", "io.mrc", True),
        ("io.star", "core.errors", False),
        ("kernels.significant", "core.chunks", True),
        ("fourier.interpolation", "kernels.table", False),
        ("io.star", "io.atomic", False),
        ("cli.main", "recipes.abinit", False),
        ("recipes.abinit.run", "studies.kept", True),
        ("evaluation.fsc", "report.page", True),
    ],
)
def test_the_rule_itself(importer: str, imported: str, *, breaks: bool) -> None:
    assert (rule_breaks(importer, imported) is not None) == breaks


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if x.device.type == 'cpu':\n    pass", [1]),
        ("def f(device):\n    return device.type", [2]),
        ("a = volume.is_cuda", [1]),
        ("b = event.type\nc = x.to(y.device)", []),
    ],
)
def test_questions_for_a_device_are_seen(source: str, lines: list[int]) -> None:
    assert asks_for_a_kind_of_device(ast.parse(source)) == lines


def test_the_cycle_finder_itself() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert find_cycle({"a": {"a"}}) == ["a"]


def test_imports_are_found_wherever_they_stand() -> None:
    source = """
import cryorbit.io.star
def f():
    from cryorbit.report.page import write_report
    from cryorbit import optim
    import numpy
"""
    assert set(imported_modules(ast.parse(source))) == {"io.star", "optim", "report.page.write_report"}
