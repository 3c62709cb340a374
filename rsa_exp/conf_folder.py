"""Where the YAML files are that configs are composed of."""

from pathlib import Path

__all__ = ["conf_dir"]


def conf_dir() -> Path:
    """Folder of the YAML files: the one in the wheel, else the checkout's."""
    package = Path(__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"
