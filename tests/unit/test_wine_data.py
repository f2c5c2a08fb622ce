"""The wine project holds the tutorial's data and parameters, to the character."""

from __future__ import annotations

import csv

import yaml

from services.jobs.projects import ProjectParameter, read_parameters
from services.settings import ROOT

PROJECT = ROOT / "data" / "wine-quality"
COLUMNS = [
    *("fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides", "free sulfur dioxide"),
    *("total sulfur dioxide", "density", "pH", "sulphates", "alcohol", "quality"),
]


def test_the_rows_are_the_tutorials() -> None:
    lines = (PROJECT / "wine-quality.csv").read_text().splitlines()
    assert lines[0] == ",".join(f'"{name}"' for name in COLUMNS)
    assert lines[1] == "7,0.27,0.36,20.7,0.045,45,170,1.001,3,0.45,8.8,6"
    rows = list(csv.reader(lines[1:]))
    assert len(rows) == 4898
    assert {len(row) for row in rows} == {12}
    assert {row[-1] for row in rows} == set("3456789")
    assert all(float(cell) >= 0 for row in rows for cell in row)


def test_every_variant_of_the_project_is_the_same_training() -> None:
    expected = [ProjectParameter("alpha", "float"), ProjectParameter("l1_ratio", "float", "0.1")]
    for folder in (PROJECT, PROJECT / "conda", PROJECT / "virtualenv"):
        assert read_parameters(folder) == expected
        content = yaml.safe_load((folder / "MLproject").read_text())
        assert content["name"] == "mlflow-talk"
        assert content["entry_points"]["main"]["command"].endswith("train.py {alpha} {l1_ratio}")


def test_both_environments_pin_the_same_packages() -> None:
    conda = yaml.safe_load((PROJECT / "conda.yaml").read_text())
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    virtualenv = yaml.safe_load((PROJECT / "python_env.yaml").read_text())
    assert pip == virtualenv["dependencies"]
    locked = (ROOT / "requirements.txt").read_text()
    for pin in pip:
        assert f"\n{pin}" in f"\n{locked}", f"{pin} is not what Decant itself runs on"
