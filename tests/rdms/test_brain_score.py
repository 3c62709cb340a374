"""Assemblies of Brain-Score, as xarray writes them to netCDF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import Naming, PatternSource, open_patterns

IMAGES = ["a", "b", "c", "a", "b", "c"]
REPETITIONS = [0, 0, 0, 1, 1, 1]
REGIONS = ["V4", "IT", "V4", "IT"]
DATA = np.random.default_rng(0).normal(size=(6, 4))


def netcdf4(
    path: Path, data: np.ndarray, dims: tuple[str, ...], *, regions: list[str] = REGIONS,
    name: str = "__xarray_dataarray_variable__", **options: Any,
) -> None:  # fmt: skip
    """Write what netCDF4 does with a DataArray whose indices were reset."""
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,h5netcdf=1,hdf5=1"
        values = file.create_dataset(name, data=data, **options)
        for number, (dim, size) in enumerate(zip(dims, data.shape, strict=True)):
            scale = file.create_dataset(dim, (size,), "f4")
            scale.make_scale("This is a netCDF dimension but not a netCDF variable")
            scale.attrs["_Netcdf4Dimid"] = np.int32(number)
            values.dims[number].attach_scale(scale)
        values.attrs["_Netcdf4Coordinates"] = np.arange(len(dims), dtype="i4")
        file.create_dataset("stimulus_id", data=IMAGES, dtype=h5py.string_dtype())
        file["repetition"] = REPETITIONS
        file.create_dataset("region", data=regions, dtype=h5py.string_dtype())
        file.create_dataset("neuroid_id", data=[f"n{i}" for i in range(len(regions))])


def netcdf3(path: Path, data: np.ndarray, dims: tuple[str, ...]) -> None:
    with netcdf_file(path, "w") as file:
        for dim, size in zip(dims, data.shape, strict=True):
            file.createDimension(dim, size)
        file.createDimension("string2", 2)
        file.createVariable("data", "d", dims)[:] = data
        for name, texts, dim in (
            ("image_id", IMAGES, "presentation"),
            ("region", REGIONS, "neuroid"),
        ):
            characters = np.array(texts, "S2").view("S1").reshape(-1, 2)
            file.createVariable(name, "c", (dim, "string2"))[:] = characters
        file.createVariable("repetition", "i", ("presentation",))[:] = REPETITIONS


def opened(path: Path, **naming: Any) -> PatternSource:
    return open_patterns(path, Naming("ROI", **naming))


def check(path: Path, data: np.ndarray = DATA) -> None:
    with opened(path) as source:
        assert (source.images, source.names) == (IMAGES, ["V4", "IT"])
        assert (source.runs, source.sessions) == (list("000111"), None)
        assert source.guessed == [f"{path.name}: 'repetition' is taken for the run"]
        for index, columns in enumerate(([0, 2], [1, 3])):
            found = source.read(index)
            assert found.flags.c_contiguous
            assert source.shape(index) == (6, 2)
            np.testing.assert_array_equal(found, data[:, columns])


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("turned", [False, True])
def test_an_assembly(turned: bool, options: dict[str, Any], tmp_path: Path) -> None:
    dims, path = ("presentation", "neuroid"), tmp_path / "assembly.nc"
    data, dims = (DATA.T, dims[::-1]) if turned else (DATA, dims)
    netcdf4(path, data, dims, **options)
    check(path)
    netcdf4(path, data[..., None], (*dims, "time_bin"), name="data", **options)
    check(path)
    netcdf3(path, data, dims)
    check(path)


def test_axes_of_the_same_length(tmp_path: Path) -> None:
    path, regions = tmp_path / "x.nc", [*REGIONS, "V1", "V1"]
    square = np.arange(36.0).reshape(6, 6)
    for dims in (("presentation", "neuroid"), ("neuroid", "presentation")):
        netcdf4(path, square, dims, regions=regions)
        with opened(path) as source:
            expected = square if dims[0] == "presentation" else square.T
            np.testing.assert_array_equal(source.read(2), expected[:, 4:])
    with h5py.File(path, "a") as file:
        del file["__xarray_dataarray_variable__"].attrs["_Netcdf4Coordinates"]
    with pytest.raises(InputError, match="does not say which axis is which"):
        opened(path)


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    path, dims = tmp_path / "x.nc", ("presentation", "neuroid")

    def refused(message: str, **naming: Any) -> None:
        with pytest.raises(InputError, match=message):
            opened(path, **naming)

    netcdf4(path, np.ones((6, 4, 3)), (*dims, "time_bin"))
    refused("several time bins; select one or average")
    netcdf4(path, DATA[:, :3], dims)
    refused("for 6 presentations and 4 neuroids")
    netcdf4(path, DATA, dims)
    refused("for 3 presentations and 4 neuroids", images=list("xyz"))
    with opened(path, images=list("xyzxyz")) as source:
        assert source.images == list("xyzxyz")
    with h5py.File(path, "a") as file:
        del file["region"]
    refused(r"no coordinate that names the ROIs \(expected region or layer; it has")
    netcdf4(path, DATA, dims)
    with h5py.File(path, "a") as file:
        del file["stimulus_id"]
    refused("no coordinate that names the images .* give a list")
    netcdf3(path, DATA, dims)
    path.write_bytes(path.read_bytes()[:200])
    refused("damaged or truncated netCDF file")


def test_what_xarray_writes(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    coordinates = {
        "stimulus_id": ("presentation", IMAGES), "repetition": ("presentation", REPETITIONS),
        "region": ("neuroid", REGIONS),
    }  # fmt: skip
    array = xarray.DataArray(DATA, dims=("presentation", "neuroid"), coords=coordinates)
    array.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    check(tmp_path / "x.nc")
    turned = array.transpose("neuroid", "presentation").expand_dims("time_bin", 2)
    turned.to_netcdf(tmp_path / "x.nc", engine="scipy")
    check(tmp_path / "x.nc")
