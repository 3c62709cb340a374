"""The order of the packages: imports run one way, and heavy libraries are imported where used."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rsa_exp"
# From the ground up. A package imports only from floors below its own.
FLOORS = (
    {"errors", "vocabulary", "interrupts", "conf_folder"},
    {"files"},
    {"stats"},
    {"rdms", "config", "figures"},
    {"datasets", "analysis"},
    {"runs"},
    {"tracking", "reports"},
    {"experiments"},
    {"cli"},
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# Not on a floor: the way in, and the public API, which imports lazily and is imported by nobody.
ENTRIES = {
    "__main__": {"cli"},
    "__init__": {"errors", "stats", "rdms", "figures", "datasets", "analysis"},
}
# Who may import what, also inside functions; anybody for types alone.
ONLY_IN = {
    "mlflow": {"tracking"},
    "hydra": {"config", "cli"},
    "omegaconf": {"config", "cli"},
    "matplotlib": {"figures"},
    "mpl_toolkits": {"figures"},
    "seaborn": {"figures"},
}
HEAVY = {"numpy", "pandas", "scipy", "matplotlib", "mlflow", "hydra", "omegaconf", "rsatoolbox"}
MOST_LINES = 350


@dataclass(frozen=True)
class Import:
    """A module and what it imports: a module of ours, or the name of another library."""

    source: str
    target: str
    for_types: bool

    def __str__(self) -> str:
        return f"{self.source} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """All modules by their name within the package: ``stats.draws``, ``stats.__init__``."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def module_of(dotted: str) -> str:
    """Our module that a name such as ``rsa_exp.stats.draws.halves`` is, or is defined in."""
    parts = dotted.split(".")[1:]
    for size in range(len(parts), -1, -1):
        for name in (".".join(parts[:size]), ".".join([*parts[:size], "__init__"])):
            if name in modules():
                return name
    raise AssertionError(dotted)


def imported_names(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Everything that a module imports, also by name: ``import_module("rsa_exp.cli.ui")``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from ((node, name) for name in names if name != "rsa_exp.__version__")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            own = node.value.removeprefix("rsa_exp.")
            if own != node.value and (own in modules() or f"{own}.__init__" in modules()):
                yield node, node.value


@cache
def imports() -> list[Import]:
    found = []
    for source, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        for node, name in imported_names(tree):
            ours = name.split(".")[0] == "rsa_exp"
            target = module_of(name) if ours else name.split(".")[0]
            found.append(Import(source, target, id(node) in for_types))
    return found


def between_packages() -> Iterator[tuple[str, str, Import]]:
    for each in imports():
        source, target = (name.split(".")[0] for name in (each.source, each.target))
        if each.target in modules() and source != target:
            yield source, target, each


def test_every_module_is_on_a_floor() -> None:
    assert len(FLOORS) <= 9
    assert {name.split(".")[0] for name in modules()} == set(FLOOR) | set(ENTRIES)


def test_packages_import_from_floors_below() -> None:
    """So there are no circles between packages either; imports for types alone count too."""
    wrong = [
        str(each)
        for source, target, each in between_packages()
        if source not in ENTRIES and (target in ENTRIES or FLOOR[target] >= FLOOR[source])
    ]
    assert not wrong, "\n".join(wrong)


def test_the_entries_know_no_more_than_they_pass_on() -> None:
    wrong = [
        str(each)
        for source, target, each in between_packages()
        if source in ENTRIES and target not in ENTRIES[source]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Also not inside functions; only for types."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.target in modules() and each.source != each.target and not each.for_types:
            graph[each.source].add(each.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_are_imported_by_their_own_packages_alone(library: str) -> None:
    wrong = [
        str(each)
        for each in imports()
        if each.target == library
        and not each.for_types
        and each.source.split(".")[0] not in ONLY_IN[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_can_be_read_at_a_sitting() -> None:
    lines = {name: path.read_text(encoding="utf-8").count("\n") for name, path in modules().items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import json, sys, rsa_exp; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout))
