"""Differences between two recorded runs: code, packages, machine, inputs, settings."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from rsa_exp.config.keys import affects
from rsa_exp.config.schema import Config
from rsa_exp.errors import printable_line

__all__ = ["KINDS", "Change", "changes", "requirement_changes", "settings_changes"]

KINDS = (
    "setting", "input", "images", "code", "package", "python", "blas", "threads", "machine",
)  # fmt: skip
"""What can change, in the order of how much it affects numbers."""

_ABSENT = "not installed"
_CLEAN = "without uncommitted changes"
_NOT_KEPT = "with uncommitted changes (not kept)"
_UNKNOWN = " cannot be compared: not recorded"
_MACHINE = {
    "python": ("python", "Python"),
    "blas": ("blas", "BLAS"),
    "threads": ("threads", "threads"),
    "cpu": ("machine", "processor"),
    "cpu_count": ("machine", "processor cores"),
    "platform": ("machine", "platform"),
}
_WHOLE = ""  # stands for a file's own digest among those of its rows


@dataclass(frozen=True)
class Change:
    """A difference between two recorded runs, of one of `KINDS`.

    Attributes
    ----------
    what : str
        For example ``numpy``, ``metric``, or an input file and its row.
    before, after : str
        Its values; both empty where they are not to be shown.
    note : str
        What follows them in a message.
    """

    kind: str
    what: str
    before: str = ""
    after: str = ""
    note: str = ""

    def __str__(self) -> str:
        """Describe it between a record and now."""
        sign = "=" if self.kind == "setting" else " "
        return self._line(f"{self.what}{sign}{self.before}, now {self.after}")

    @property
    def between_a_and_b(self) -> str:
        """Describe it between two runs, A and B."""
        return self._line(f"{self.what}: {self.before} in A, {self.after} in B")

    @property
    def cosmetic(self) -> bool:
        """Whether it is a setting on which no number depends: a path, figures, tracking."""
        return self.kind == "setting" and affects(self.what) != "numbers"

    def _line(self, values: str) -> str:
        described = values if self.before or self.after else self.what
        return printable_line(f"{described}{self.note}")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare what two runs' numbers depend on besides their settings.

    Their ``provenance.json`` may be of another version of rsa_exp, or damaged: nothing is raised.
    Code, packages and machine that either does not name count as a change. Inputs come first, then
    code, packages and machine.
    """
    found = [*_inputs(before, after)]
    if _both(before, after, "images_digest"):
        found.append(Change("images", "images used", note=" differ"))
    elif not found and _both(before, after, "content_digest"):
        what = "input (its image names, or which RDMs are used)"
        found.append(Change("input", what, note=" differs"))
    return [*found, *_code(before, after), *_packages(before, after), *_machine(before, after)]


def requirement_changes(before: str, after: str) -> list[Change]:
    """Compare two ``requirements.txt``, without rsa_exp itself; an empty one with none."""
    old, new = _pinned(before), _pinned(after)
    if not (old and new):
        return []
    return [
        Change("package", name, old.get(name, _ABSENT), new.get(name, _ABSENT))
        for name in sorted({*old, *new} - {"rsa-exp"})
        if old.get(name) != new.get(name)
    ]


def settings_changes(before: Config, after: Config) -> list[Change]:
    """Compare the settings of two runs by dotted keys; those that affect no number come last."""
    old = dict(_flat(dataclasses.asdict(before)))
    new = dict(_flat(dataclasses.asdict(after)))
    found = [
        Change("setting", key, old.get(key, "unset"), new.get(key, "unset"))
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
    return sorted(found, key=lambda change: change.cosmetic)


def _flat(node: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{where}.{key}" if where else str(key))
    else:
        yield where, _written(node)


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "''" if value == "" else str(value)


def _both(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    """Whether both records have a value and the values differ."""
    old, new = before.get(key), after.get(key)
    return old is not None and new is not None and old != new


def _inputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = _files(before), _files(after)
    for file in {**old, **new} if old and new else ():
        if not (file in old and file in new):
            yield _only(f"input {file}", in_old=file in old)
            continue
        was, now = old[file], new[file]
        rows = [row for row in {**was, **now} if row != _WHOLE and was.get(row) != now.get(row)]
        if not rows and was[_WHOLE] != now[_WHOLE]:
            yield Change("input", f"input {file}", note=" has other images, or names of them")
        for row in rows:
            if row in was and row in now:
                yield Change("input", f"input {file} {row}", note=" has other values")
            else:
                yield _only(f"input {file} {row}", in_old=row in was)


def _only(what: str, *, in_old: bool) -> Change:
    return Change("input", what, *(("used", "not used") if in_old else ("not used", "used")))


def _files(record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Digests of the rows that a run read from each file, and of all of them with image names.

    Files of the same name, as of subjects that have folders, are distinguished by their folders.
    """
    items = [item for item in _list(record.get("inputs")) if isinstance(item, Mapping)]
    names = [str(item.get("name", "")) for item in items]
    counts = Counter(names)
    found: dict[str, dict[str, str]] = {}
    for item, name in zip(items, names, strict=True):
        path = PurePath(str(item.get("path", name)))
        label = name if counts[name] == 1 else "/".join(path.parts[-2:])
        digests = {str(row): str(digest) for row, digest in _dict(item.get("rows")).items()}
        file = found.setdefault(label, {_WHOLE: ""})
        file |= digests | {_WHOLE: f"{file[_WHOLE]} {item.get('digest')}"}
    return found


def _code(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    found = []
    ids = before.get("code_id"), after.get("code_id")
    known = None not in ids
    same = ", but what numbers come from is the same" if known and ids[0] == ids[1] else ""
    if _both(before, after, "rsa_exp"):
        found.append(Change("code", "rsa_exp", str(before["rsa_exp"]), str(after["rsa_exp"]), same))
    commit, commit_now = before.get("git_commit"), after.get("git_commit")
    if commit != commit_now:
        found.append(Change("code", "code: commit", _commit(commit), _commit(commit_now), same))
    edits, edits_now = _edits(before), _edits(after)
    in_git = commit is not None and commit_now is not None
    if in_git and edits != edits_now:
        found.append(Change("code", "code", edits, edits_now, same))
    elif in_git and edits == _NOT_KEPT and not same:
        note = " had uncommitted changes both times, which were not kept and may differ"
        found.append(Change("code", "code", note=note))
    if known and not same and not found:
        found.append(Change("code", "code that numbers come from", note=" differs"))
    if not known and not in_git and not found:
        found.append(Change("code", "code", note=_UNKNOWN))
    return found


def _commit(commit: object) -> str:
    return str(commit)[:7] if commit else "unknown"


def _edits(record: Mapping[str, Any]) -> str:
    digest = record.get("git_diff_digest")
    if digest:
        return f"with uncommitted changes (diff {str(digest)[:7]})"
    return _CLEAN if record.get("git_dirty") is False else _NOT_KEPT


def _packages(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = _dict(before.get("packages")), _dict(after.get("packages"))
    if not (old and new):
        yield Change("package", "packages", note=_UNKNOWN)
        return
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            versions = (str(each.get(name) or _ABSENT) for each in (old, new))
            yield Change("package", str(name), *versions)


def _machine(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = (dict(record) | {"blas": _libraries(record)} for record in (before, after))
    for key, (kind, what) in _MACHINE.items():
        if old.get(key) is None or new.get(key) is None:
            yield Change(kind, what, note=_UNKNOWN)
        elif old[key] != new[key]:
            yield Change(kind, what, str(old[key]), str(new[key]))


def _libraries(record: Mapping[str, Any]) -> str | None:
    """Name BLAS libraries; which is loaded first does not matter."""
    if not isinstance(record.get("blas"), list):
        return None
    libraries = [
        " ".join(str(value) for value in item.values() if value)
        for item in record["blas"]
        if isinstance(item, Mapping)
    ]
    return " + ".join(sorted(libraries)) or "none"


def _pinned(text: str) -> dict[str, str]:
    """Versions by package name, as pip compares names; an address stands for a version."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:==|@)\s*(\S+)", line)
        if match is not None:
            found[re.sub(r"[-_.]+", "-", match.group(1)).lower()] = match.group(2)
    return found


def _dict(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
