"""Whatever deployments there are, Envoy accepts what it is told about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.errors import StartFailed
from services.runtime.envoy import files
from services.runtime.envoy.bootstrap import bootstrap
from services.runtime.envoy.files import validate
from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor, Upstream
from services.settings import Settings

LABELS = st.text("az09-", min_size=1, max_size=63).map(lambda text: f"x{text}"[:62] + "x")
UPSTREAMS = st.builds(Upstream, st.just("127.0.0.1"), st.integers(1, 65535))


@st.composite
def deployments(draw: st.DrawFn) -> GatewayDeployment:
    names = draw(st.lists(LABELS, min_size=1, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    upstreams = st.lists(UPSTREAMS, max_size=3, unique=True).map(tuple)
    arms = [GatewayPredictor(name, share, False, draw(upstreams)) for name, share in zip(names, shares, strict=True)]
    shadow = draw(st.none() | st.tuples(LABELS.filter(lambda name: name not in names), st.integers(0, 100)))
    if shadow:
        arms.append(GatewayPredictor(shadow[0], shadow[1], True, draw(upstreams)))
    return GatewayDeployment(draw(LABELS), draw(LABELS), tuple(arms))


# No shrinking: each example starts an Envoy.
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(found=st.lists(deployments(), max_size=4, unique_by=lambda d: d.key))
def test_envoy_accepts_every_valid_set_of_deployments(tmp_path: Path, found: list[GatewayDeployment]) -> None:
    validate(Settings(state_dir=tmp_path), found)


@pytest.mark.parametrize(
    "chosen",
    [
        {"max_body_mb": 1024, "request_timeout_s": 0.001},
        {"max_connections": 16, "request_timeout_s": 86400.5},
        {"max_connections": 1_000_000, "request_timeout_s": 1e-5},
    ],
)
def test_envoy_accepts_the_settings_at_their_edges(tmp_path: Path, chosen: dict[str, float]) -> None:
    lone = GatewayDeployment("seldon", "wine", (GatewayPredictor("a", 100),))
    validate(Settings(state_dir=tmp_path, **chosen), [lone])  # type: ignore[arg-type]


def test_a_refusal_carries_envoys_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "bootstrap", lambda settings: {**bootstrap(settings), "no_such_field": 1})
    with pytest.raises(StartFailed, match="no_such_field"):
        validate(Settings(state_dir=tmp_path), [])
