"""What the gateway is told, as pure data: names, order of routes, files left alone when nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain import Split
from services.errors import InvalidDeployment, InvalidName
from services.runtime.envoy import EnvoyFiles, command
from services.runtime.envoy.bootstrap import bootstrap
from services.runtime.envoy.clusters import clusters, upstreams_of
from services.runtime.envoy.model import (
    GatewayDeployment,
    GatewayPredictor,
    Upstream,
    cluster_name,
    parse_split_route,
    predictor_of,
    split_route_name,
)
from services.runtime.envoy.routes import routes
from services.settings import Settings

ONE, TWO = Upstream("127.0.0.1", 9001), Upstream("127.0.0.1", 9002)
SETTINGS = Settings()
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


def wine(a: int = 80, b: int = 20, *more: GatewayPredictor, name: str = "wine") -> GatewayDeployment:
    return GatewayDeployment(
        "seldon",
        name,
        (
            GatewayPredictor("a", a, upstreams=(ONE,)),
            GatewayPredictor("b", b, upstreams=(TWO,)),
            *more,
        ),
    )


def test_cluster_names_carry_the_way_and_the_arm() -> None:
    name = cluster_name("split", "seldon", "mlflow-deployment", "a")
    assert name == "split|seldon|mlflow-deployment|a"
    assert predictor_of(name) == "a"


@given(NAMES, NAMES)
def test_split_route_names_read_back(namespace: str, name: str) -> None:
    assert parse_split_route(split_route_name(namespace, name)) == f"{namespace}/{name}"
    assert parse_split_route(f"stranger|{namespace}|{name}") is None
    assert parse_split_route("") is None


def test_a_lone_arm_takes_everything_whether_it_says_0_or_100() -> None:
    for traffic in (0, 100):
        lone = GatewayDeployment("seldon", "wine", (GatewayPredictor("a", traffic),))
        assert lone.split == Split((("a", 100),))


@pytest.mark.parametrize(
    ("predictors", "words"),
    [
        ((), "no live predictor"),
        ((GatewayPredictor("a", 100, shadow=True),), "no live predictor"),
        ((GatewayPredictor("a", 50), GatewayPredictor("b", 40)), "sums to 90"),
        ((GatewayPredictor("a", 50), GatewayPredictor("a", 50)), "twice"),
        ((GatewayPredictor("a", 100), GatewayPredictor("s", 101, shadow=True)), "shadow s is 101"),
    ],
)
def test_what_envoy_would_refuse_is_refused_before_it_is_written(
    predictors: tuple[GatewayPredictor, ...], words: str
) -> None:
    with pytest.raises(InvalidDeployment, match=words):
        GatewayDeployment("seldon", "wine", predictors)


@pytest.mark.parametrize(("namespace", "name", "arm"), [("s|x", "w", "a"), ("s", "w/..", "a"), ("s", "w", "A b")])
def test_names_that_could_break_a_path_are_refused(namespace: str, name: str, arm: str) -> None:
    with pytest.raises(InvalidName):
        GatewayDeployment(namespace, name, (GatewayPredictor(arm, 100),))


def test_a_deployment_given_twice_is_refused() -> None:
    with pytest.raises(InvalidDeployment, match="twice"):
        routes([wine(), wine()], SETTINGS)


def test_live_arms_have_two_clusters_with_equal_endpoints_and_shadows_one() -> None:
    shadow = GatewayPredictor("s", 10, shadow=True, upstreams=(ONE, TWO))
    found = {c["name"]: upstreams_of(c) for c in clusters([wine(80, 20, shadow)], SETTINGS)}
    assert found == {
        "split|seldon|wine|a": {ONE},
        "pin|seldon|wine|a": {ONE},
        "split|seldon|wine|b": {TWO},
        "pin|seldon|wine|b": {TWO},
        "pin|seldon|wine|s": {ONE, TWO},
    }


def test_the_order_of_deployments_and_endpoints_does_not_change_the_text() -> None:
    first, second = wine(name="one"), wine(name="two")
    assert routes([first, second], SETTINGS) == routes([second, first], SETTINGS)
    there, back = (
        GatewayDeployment("s", "d", (GatewayPredictor("a", 100, False, u),)) for u in ((ONE, TWO), (TWO, ONE))
    )
    assert clusters([there], SETTINGS) == clusters([back], SETTINGS)


def test_files_are_left_alone_when_nothing_changed(tmp_path: Path) -> None:
    files = EnvoyFiles(Settings(state_dir=tmp_path))
    files.prepare()
    assert files.write_clusters([wine()]) is True
    assert files.write_routes([wine()]) is True
    written = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert files.write_clusters([wine()]) is False
    assert files.write_routes([wine()]) is False
    files.prepare()
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == written


def test_moving_the_split_touches_only_the_routes(tmp_path: Path) -> None:
    files = EnvoyFiles(Settings(state_dir=tmp_path))
    files.write_clusters([wine(80, 20)])
    files.write_routes([wine(80, 20)])
    version = files.routes_version
    assert files.write_clusters([wine(0, 100)]) is False
    assert files.write_routes([wine(0, 100)]) is True
    assert files.routes_version != version


def test_changing_endpoints_touches_only_the_clusters(tmp_path: Path) -> None:
    files = EnvoyFiles(Settings(state_dir=tmp_path))
    moved = GatewayDeployment(
        "seldon", "wine", (GatewayPredictor("a", 80, upstreams=(TWO,)), GatewayPredictor("b", 20, upstreams=(ONE, TWO)))
    )
    files.write_clusters([wine()])
    files.write_routes([wine()])
    assert files.write_routes([moved]) is False
    assert files.write_clusters([moved]) is True
    assert files.written_upstreams()["split|seldon|wine|b"] == {ONE, TWO}


def test_preparing_again_keeps_what_was_in_force(tmp_path: Path) -> None:
    files = EnvoyFiles(Settings(state_dir=tmp_path))
    files.write_clusters([wine()])
    files.write_routes([wine()])
    kept = files.routes_version, files.written_upstreams()
    EnvoyFiles(Settings(state_dir=tmp_path)).prepare()
    assert (files.routes_version, files.written_upstreams()) == kept


def test_damaged_files_read_as_empty(tmp_path: Path) -> None:
    files = EnvoyFiles(Settings(state_dir=tmp_path))
    for name in ("rds.json", "cds.json"):
        (files.folder / name).write_text("{half")
    assert files.routes_version == ""
    assert files.written_upstreams() == {}


def test_everything_listens_on_loopback_or_a_private_socket(tmp_path: Path) -> None:
    whole = bootstrap(Settings(state_dir=tmp_path))
    addresses = [item["address"]["socket_address"]["address"] for item in whole["static_resources"]["listeners"]]
    assert set(addresses) == {"127.0.0.1"}
    assert whole["admin"]["address"]["pipe"]["mode"] == 0o600


def test_a_long_state_folder_gets_a_socket_path_the_kernel_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    path = bootstrap(Settings(state_dir=deep))["admin"]["address"]["pipe"]["path"]
    assert len(path.encode()) <= 107
    assert path != bootstrap(Settings(state_dir=deep / "y"))["admin"]["address"]["pipe"]["path"]


def test_the_command_names_a_program_that_is_there(tmp_path: Path) -> None:
    assert Path(command(Settings(state_dir=tmp_path))[0]).is_file()
