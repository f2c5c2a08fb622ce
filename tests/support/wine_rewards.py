"""What the two wine models of the tutorial earn on every row, computed without any server."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import train_test_split

from services.settings import ROOT

CSV = ROOT / "data" / "wine-quality" / "wine-quality.csv"
TARGET = "quality"


@cache
def predictions() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Truth, A's and B's prediction of all 4,898 rows; A is ElasticNet(.5, .5), B is ElasticNet(.75, .2)."""
    wines = pd.read_csv(CSV, dtype=float)
    np.random.seed(40)
    training, _ = train_test_split(wines)
    features = wines.drop(columns=TARGET)
    found = [
        ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42)
        .fit(training.drop(columns=TARGET), training[TARGET])
        .predict(features)
        for alpha, l1_ratio in ((0.5, 0.5), (0.75, 0.2))
    ]
    return wines[TARGET].to_numpy(), found[0], found[1]


def held_out_rows() -> NDArray[np.int64]:
    """Numbers of the 1,225 rows that the models were not trained on."""
    np.random.seed(40)
    _, held_out = train_test_split(pd.read_csv(CSV, dtype=float))
    return np.sort(held_out.index.to_numpy())
