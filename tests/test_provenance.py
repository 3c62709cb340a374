"""What is kept of the code's uncommitted changes is whole, and applies to a clone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsa_exp.runs import provenance
from rsa_exp.runs.provenance import code_diff, environment, git_state

# What people set for themselves, and what would spoil a patch.
GITCONFIG = """
[user]
    name = n
    email = e
[color]
    ui = always
[core]
    autocrlf = false
[diff]
    noprefix = true
    relative = true
    context = 0
    external = true
[status]
    showUntrackedFiles = no
"""


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with one commit, which the package is taken to be in."""
    (tmp_path / "gitconfig").write_text(GITCONFIG)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    folder = tmp_path / "checkout"
    for part in ("rsa_exp", "conf"):
        (folder / part).mkdir(parents=True)
    (folder / "pyproject.toml").write_text("")
    (folder / "rsa_exp" / "__init__.py").write_bytes(b"a = 1\r\nb = 2\r\n")
    (folder / "rsa_exp" / "table.bin").write_bytes(bytes(range(256)))
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(folder / "rsa_exp" / "runs" / "provenance.py"))
    provenance._checkout.cache_clear()
    yield folder
    provenance._checkout.cache_clear()


def now() -> str | None:
    provenance._checkout.cache_clear()
    digest: str | None = environment()["git_diff_digest"]
    return digest


def test_every_change_is_in_a_patch_that_applies(checkout: Path, tmp_path: Path) -> None:
    assert (git_state()[1], code_diff(), now()) == (False, b"", None)
    git(tmp_path, "clone", str(checkout), "clone")
    changed = {
        "rsa_exp/__init__.py": b"a = 1\r\nb = 3\r\n",
        "rsa_exp/table.bin": bytes(range(255, -1, -1)),
        "rsa_exp/new.py": b"",
        "conf/caf\u00e9 1.yaml": "name: caf\u00e9\n".encode("latin-1"),
    }
    digests = set()
    for name, content in changed.items():
        (checkout / name).write_bytes(content)
        digests.add(now())
    assert len(digests - {None}) == len(changed)
    assert git_state()[1]
    (tmp_path / "code.diff").write_bytes(code_diff())
    git(tmp_path / "clone", "apply", str(tmp_path / "code.diff"))
    assert {name: (tmp_path / "clone" / name).read_bytes() for name in changed} == changed


def test_a_large_patch_is_not_cut_and_all_of_it_digested(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "_MAX_DIFF", 1000)
    digests = set()
    for last in "ab":
        (checkout / "conf" / "x.yaml").write_text("x" * 2000 + last)
        digests.add(now())
        assert code_diff() == b""
        assert git_state()[1]
    assert len(digests - {None}) == 2


def test_what_git_cannot_say_is_not_taken_for_no_change(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provenance, "_DIFF", ("diff", "--no-such-option"))
    assert now() is None
    assert git_state()[1]
    assert "uncommitted changes of the code are not recorded" in caplog.text
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert now() is None
    assert git_state() == (None, False)
    assert "dubious ownership" in caplog.text
