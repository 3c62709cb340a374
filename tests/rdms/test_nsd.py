"""A folder as the Natural Scenes Dataset has it."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import Naming, PatternSource, open_patterns

VOLUME, N_TRIAL = (4, 5, 6), 7  # x, y, z
SUBJECTS, SESSIONS = 3, (1, 2, 4)
BETAS = "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf"
ROIS = "nsddata/ppdata/subj02/func1pt8mm/roi"
DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"


class Nsd:
    """What was written, to compare with."""

    def __init__(self, root: Path, **options: Any) -> None:
        rng = np.random.default_rng(0)
        self.root = root
        for folder in (BETAS, ROIS, Path(DESIGN).parent):
            (root / folder).mkdir(parents=True)
        self.betas = {
            n: rng.integers(-9000, 9000, (N_TRIAL, *VOLUME[::-1]), "i2") for n in SESSIONS
        }
        for number, betas in self.betas.items():
            with h5py.File(root / BETAS / f"betas_session{number:02d}.hdf5", "w") as file:
                file.create_dataset("betas", data=betas, **options)
        self.order = rng.integers(1, 11, (1, 4 * N_TRIAL))
        self.subjectim = rng.integers(1, 73001, (SUBJECTS, 10))
        savemat(root / DESIGN, {"masterordering": self.order, "subjectim": self.subjectim})
        self.mask = rng.integers(-1, 3, VOLUME)

    def write_masks(self) -> None:
        nibabel = pytest.importorskip("nibabel")
        for name, values in {
            "prf-visualrois": self.mask.astype("f8"), "lh.floc": (self.mask == 2).astype("i2"),
            "other-resolution": np.ones((2, 2, 2), "i2"),
        }.items():  # fmt: skip
            image = nibabel.Nifti1Image(values, np.eye(4))
            nibabel.save(image, self.root / ROIS / f"{name}.nii.gz")


def opened(path: Path, **naming: Any) -> PatternSource:
    return open_patterns(path, Naming("ROI", **naming))


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (1, 6, 5, 4)}, {"chunks": (7, 1, 1, 1)},
     {"chunks": (3, 4, 2, 3), "compression": "gzip", "shuffle": True}],
)  # fmt: skip
def test_a_subject(options: dict[str, Any], tmp_path: Path) -> None:
    nsd = Nsd(tmp_path, **options)
    nsd.write_masks()
    with opened(tmp_path) as source:
        assert source.names == ["lh.floc-1", "prf-visualrois-1", "prf-visualrois-2"]
        assert source.runs is None
        assert source.sessions == [str(n) for n in SESSIONS for _ in range(N_TRIAL)]
        assert source.images == [
            f"nsd{nsd.subjectim[1, nsd.order[0, (n - 1) * N_TRIAL + trial] - 1]:05d}"
            for n in SESSIONS
            for trial in range(N_TRIAL)
        ]
        assert len(source.files) == len(SESSIONS) + 3
        for index, label in enumerate((2, 1, 2)):
            x, y, z = np.nonzero(nsd.mask == label)
            expected = np.concatenate([b[:, z, y, x] for b in nsd.betas.values()]) / 300
            found = source.read(index)
            assert found.dtype == np.float32
            assert found.shape == source.shape(index)
            # Voxels have no order of their own.
            np.testing.assert_allclose(np.sort(found), np.sort(expected.astype("f4")), rtol=1e-6)
            gram = expected @ expected.T
            np.testing.assert_allclose(found @ found.T, gram, atol=1e-4 * gram.max())


def test_what_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nsd = Nsd(tmp_path)
    with pytest.raises(InputError, match=r"no masks of shape \(4, 5, 6\) with ROIs"):
        opened(tmp_path)
    with pytest.raises(InputError, match="betas of subject '1' are none; give a folder"):
        opened(tmp_path, subject="1")
    (tmp_path / DESIGN).rename(tmp_path / "design")
    with pytest.raises(InputError, match=r"no nsd_expdesign\.mat"):
        opened(tmp_path)
    (tmp_path / "design").rename(tmp_path / DESIGN)
    savemat(tmp_path / DESIGN, {"masterordering": nsd.order[:, :9], "subjectim": nsd.subjectim})
    with pytest.raises(InputError, match="which 7 images session 2 had"):
        opened(tmp_path)
    savemat(tmp_path / DESIGN, {"subjectim": nsd.subjectim})
    with pytest.raises(InputError, match="no 'masterordering'"):
        opened(tmp_path)
    savemat(tmp_path / DESIGN, {"masterordering": nsd.order, "subjectim": nsd.subjectim})
    (tmp_path / ROIS / "V1.nii.gz").write_bytes(b"no mask")
    imported = builtins.__import__

    def without_nibabel(name: str, *args: Any) -> Any:
        if name.split(".")[0] == "nibabel":
            raise ImportError(name)
        return imported(name, *args)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without_nibabel)
        with pytest.raises(InputError, match=r"pip install 'rsa-exp\[nsd\]'"):
            opened(tmp_path)
    pytest.importorskip("nibabel")
    with pytest.raises(InputError, match="not a NIfTI file of a mask"):
        opened(tmp_path)
    (tmp_path / BETAS / "betas_session09.hdf5").write_bytes(b"")
    with pytest.raises(InputError, match="damaged or truncated HDF5 file"):
        opened(tmp_path)
    other = tmp_path / "nsddata_betas" / "ppdata" / "subj02" / "betas_session01.hdf5"
    other.write_bytes(b"")
    with pytest.raises(InputError, match="in several folders"):
        opened(tmp_path)
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(InputError, match="is a folder, not"):
        opened(folder)
