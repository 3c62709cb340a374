"""Studies that can be opened by name: the simulated one, and the published BOLD5000 files.

Names of their files, images, ROIs and layers are in the YAML files of conf/, of which the command
line's configs are composed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rsa_exp.conf_folder import conf_dir
from rsa_exp.datasets.files import FEATURE_FILE, PATTERN_FILE
from rsa_exp.datasets.simulation import simulate_study
from rsa_exp.errors import check_choice
from rsa_exp.rdms.opening import open_study
from rsa_exp.rdms.study import Study
from rsa_exp.stats.patterns.measurements import PatternOptions
from rsa_exp.vocabulary import ATLASES

__all__ = ["bold5000", "simulated"]


def simulated(
    n_images: int = 1000,
    seed: int = 0,
    root: str | os.PathLike[str] | None = None,
    *,
    n_runs: int = 0,
    patterns: PatternOptions | None = None,
    align: str = "stem",
    images: str = "all",
) -> Study:
    """Open the simulated study, which has the published result planted; written on first use.

    Parameters
    ----------
    n_images : int
        Images, at least 20; 4916 is the size of BOLD5000 (3.4 GB of files).
    seed : int
        The same seed gives the same study.
    root : path, optional
        Folder under which the study gets a folder of its own; None is ``outputs/simulated``,
        where the command line writes it too.
    n_runs : int
        Runs in which voxel patterns are measured, of which RDMs are then made; 0 gives RDM files.
    patterns : PatternOptions, optional
        How RDMs are made of them; correlation distances of their mean over runs by default.
    align, images : str
        As in `rsa_exp.open_study`; sources of images are ``coco``, ``imagenet`` and ``scenes``.

    Returns
    -------
    Study
        Three subjects, ten ROIs, five layers of ResNet-50, made as
        `rsa_exp.datasets.simulation` describes.

    Raises
    ------
    InputError
        If there are too few images, or the folder cannot be written.
    """
    where = Path("outputs/simulated" if root is None else root)
    folder = simulate_study(where, n_images, seed, n_runs)
    options = (patterns or PatternOptions()) if n_runs else None
    return _open(
        "simulated", folder, "resnet50", None, align=align, images=images, patterns=options
    )


def bold5000(
    root: str | os.PathLike[str],
    atlas: str = "BOLD5000",
    model: str = "resnet50",
    subjects: Sequence[str] = ("1", "2", "3"),
    *,
    align: str = "stem",
    images: str = "all",
) -> Study:
    """Open the published BOLD5000 RDM files (doi:10.5061/dryad.wpzgmsbtr).

    Parameters
    ----------
    root : path
        Their folder.
    atlas : {'BOLD5000', 'vcAtlas', 'visfAtlas'}
        Which ROIs: 10, 16 or 33.
    model : {'resnet50', 'alexnet', 'efficientnet_b0', 'mobilenet_v2'}
        Which network.
    subjects : sequence of str
        Whose images are matched; subject 4 saw 2952 of the 4916 images and shrinks the common set.
    align, images : str
        As in `rsa_exp.open_study`; sources of images are ``coco``, ``imagenet`` and ``scenes``.

    Returns
    -------
    Study
        Open.

    Raises
    ------
    InputError
        If a file is missing or an argument cannot be used.
    """
    check_choice("atlas", atlas, ATLASES)
    return _open("bold5000", Path(root), model, subjects, align=align, images=images, atlas=atlas)


def _open(
    data: str,
    folder: Path,
    model: str,
    subjects: Sequence[str] | None,
    *,
    align: str,
    images: str,
    atlas: str = "",
    patterns: PatternOptions | None = None,
) -> Study:
    """Open the files that conf/data/, conf/names/ and conf/model/ describe."""
    networks = {path.stem: _conf("model", path.stem) for path in (conf_dir() / "model").iterdir()}
    published = sorted(each for each, network in networks.items() if "file" in network)
    check_choice("model", model, published)
    files, names, network = _conf("data", data), _conf("names", "bold5000"), networks[model]
    pattern = str(files["brain"]).replace("{atlas}", atlas) if patterns is None else PATTERN_FILE
    chosen = list(map(str, names["subjects"] if subjects is None else subjects))
    return open_study(
        {subject: folder / pattern.replace("{subject}", subject) for subject in chosen},
        folder / (network["file"] if patterns is None else FEATURE_FILE),
        patterns=patterns,
        features=None if patterns is None else PatternOptions(),
        align=align,
        images=images,
        sources=names["sources"],
        layers=network["layers"],
        rois=names["rois"],
        name=files["name"],
        model_name=network["name"],
        simulated=data == "simulated",
        hint=files.get("hint", ""),
    )


def _conf(group: str, name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(
        (conf_dir() / group / f"{name}.yaml").read_text("utf-8")
    )
    return values
