"""A result handed to rsatoolbox."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from studies import Files, analyse_files

from rsa_exp.analysis.settings import Inference
from rsa_exp.errors import InputError
from rsa_exp.rdms.opening import open_study

DRAWS = Inference(n_boot=60, n_perm=0, n_splits=0, keep_draws=True)


def test_evaluations_are_those_of_eval_fixed(files: Files) -> None:
    with open_study({s: files.brain(s) for s in "AB"}, files.model) as study:
        rdms, layers = study.rdms("V1"), study.model_rdms()
    models = [ModelFixed(name, layers.subset("layer", name)) for name in "abc"]
    expected = eval_fixed(models, rdms, method="corr")
    found = analyse_files(files, subject="group", inference=DRAWS).to_rsatoolbox("V1")
    np.testing.assert_allclose(found.evaluations, expected.evaluations, atol=1e-12)
    np.testing.assert_allclose(found.noise_ceiling, expected.noise_ceiling, atol=1e-12)
    assert [model.name for model in found.models] == ["a", "b", "c"]
    assert (found.method, found.cv_method) == ("corr", "fixed")


@pytest.mark.parametrize(("subject", "n_way"), [("A", 0), ("group", 3)])
def test_its_errors_and_tests_are_the_bootstraps(files: Files, subject: str, n_way: int) -> None:
    result = analyse_files(files, subject=subject, inference=DRAWS)
    rows = result.scores.query("roi == 'V2'")
    found = result.to_rsatoolbox("V2")
    assert found.variances.ndim == (3 if n_way else 2)
    np.testing.assert_allclose(found.get_means(), rows["score"], atol=1e-12)
    np.testing.assert_allclose(found.get_sem(), rows["se"], rtol=1e-9)
    np.testing.assert_allclose(found.test_zero(), rows["p_zero"], rtol=1e-6)
    pairs = result.comparisons.query("kind == 'layers' and within == 'V2'")
    np.testing.assert_allclose(np.sqrt(found.diff_var), pairs["se"], rtol=1e-9)


def test_what_rsatoolbox_cannot_hold_is_refused(files: Files) -> None:
    result = analyse_files(files)
    assert result.to_rsatoolbox("V1").variances is None
    with pytest.raises(InputError, match="did you mean 'V1'"):
        result.to_rsatoolbox("v1")
    with pytest.raises(InputError, match="bures_metric is a distance"):
        analyse_files(files, metric="bures_metric").to_rsatoolbox("V1")
