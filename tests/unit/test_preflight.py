"""The pre-flight check: what blocks, what warns, what is fine, each with its mend; on pure parts and as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.deployments import local_preflight
from services.deployments.pins import clashes, pinned, requirements
from services.domain import (
    RIGHTS,
    ChangeNote,
    Deployment,
    Finding,
    Fix,
    ModelFacts,
    Parameter,
    Phase,
    Predictor,
    Provenance,
    Severity,
)
from services.errors import Forbidden, InvalidInput, NotFound, Unavailable
from services.jobs.publications import Prepared
from services.preflight import check as checking
from services.preflight.check import Preflight, Report
from services.preflight.mending import mended
from services.preflight.pair import compare
from services.schema import Column, ColumnType, Signature, TensorSpec
from services.tracking.models import ModelCatalogue, ModelRef
from services.tracking.needs import read_facts
from tests.support.memory_engine import MemoryEngine
from tests.support.models import elastic_net

NOTE = ChangeNote("ann")
BLOCKS, WARNS, FINE = Severity.BLOCKS, Severity.WARNS, Severity.FINE
WINE = Deployment("seldon", "wine", (Predictor("a", "models:/m-a", 80), Predictor("b", "models:/m-b", 20)))


def only(found: Sequence[Finding], severity: Severity) -> Finding:
    matching = [f for f in found if f.severity is severity]
    assert len(matching) == 1, found
    return matching[0]


# -- a model's needs ---------------------------------------------------------------------------------------------------


def test_facts_are_read_from_text_files_alone() -> None:
    env = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    mlmodel = {
        "mlflow_version": "3.17.0",
        "flavors": {"python_function": {"env": env, "python_version": "3.11.7"}, "sklearn": {}},
    }
    texts = {"conda.yaml": "dependencies: [python=3.11.7]", "requirements.txt": "# made by hand\nnumpy==2.1\n\n"}
    facts = read_facts(mlmodel, texts, named_columns=True)
    assert facts.flavors == ("python_function", "sklearn")
    assert facts.requirements == ("numpy==2.1",)
    assert facts.conda == "dependencies: [python=3.11.7]"
    assert facts.env_is_mapping
    assert (facts.python_version, facts.mlflow_version, facts.named_columns) == ("3.11.7", "3.17.0", True)


@pytest.mark.parametrize(("env", "conda"), [("conda.yaml", "there"), (None, None), ({"conda": "other.yaml"}, None)])
def test_an_env_entry_of_any_age_leads_to_its_conda_file(env: object, conda: str | None) -> None:
    facts = read_facts({"flavors": {"python_function": {"env": env}}}, {"conda.yaml": "there"}, named_columns=False)
    assert facts.conda == conda
    assert facts.env_is_mapping == isinstance(env, dict)


def test_pins_are_read_and_everything_else_is_passed_over() -> None:
    wanted = requirements(
        ["numpy==2.1.0", "Scikit_Learn>=1.5", "-r other.txt", "git+https://x/y", "pywin32; os_name=='nt'"]
    )
    assert set(wanted) == {"numpy", "scikit-learn"}
    assert str(pinned(wanted["numpy"])) == "2.1.0"
    assert pinned(wanted["scikit-learn"]) is None
    assert clashes(wanted, {"numpy": "<2", "scikit-learn": "<1"}).keys() == {"numpy"}


# -- this machine ------------------------------------------------------------------------------------------------------


def on_this_machine(facts: ModelFacts, uri: str = "models:/m-a", **installed: str) -> list[Finding]:
    there = {name.replace("_", "-"): version for name, version in installed.items()}
    deployment = Deployment("seldon", "wine", (Predictor("a", uri),))
    return list(local_preflight.findings(deployment, {"a": facts}, "3.11.7", there.get))


def test_a_model_of_this_python_with_its_packages_is_fine() -> None:
    facts = ModelFacts("m", ("python_function", "sklearn"), "3.11.2", ("scikit-learn==1.9.1", "numpy==2.2.1"))
    found = on_this_machine(facts, scikit_learn="1.9.4", numpy="2.4.0")
    assert {f.severity for f in found} == {FINE}


def test_the_library_of_a_flavour_that_is_missing_blocks_with_the_command_that_brings_it() -> None:
    found = on_this_machine(ModelFacts("m", ("python_function", "xgboost"), "3.11.7", ("xgboost==3.1.0",)))
    finding = only(found, BLOCKS)
    assert "xgboost is not installed" in finding.what
    assert "pip install 'xgboost==3.1.0'" in finding.mend


def test_another_requirement_that_is_missing_is_only_a_warning() -> None:
    facts = ModelFacts("m", ("python_function",), "3.11.7", ("defusedxml==0.7.1", "our-tools"))
    finding = only(on_this_machine(facts), WARNS)
    assert "defusedxml and our-tools are among its requirements" in finding.what


def test_another_python_is_a_warning_that_says_how_sure_it_is() -> None:
    own = only(on_this_machine(ModelFacts("m", ("python_function",), "3.9.1")), WARNS)
    library = only(on_this_machine(ModelFacts("m", ("python_function", "sklearn"), "3.9.1"), scikit_learn="1.9"), WARNS)
    assert "Python 3.9" in own.what
    assert "often does not load" in own.what
    assert "may still load" in library.what


@pytest.mark.parametrize(
    ("pin", "here", "warned"),
    [("scikit-learn==1.7.2", "1.9.1", True), ("scikit-learn==1.9.0", "1.9.1", False), ("numpy==1.26.4", "2.1", True)],
)
def test_versions_matter_where_pickles_depend_on_them(pin: str, here: str, warned: bool) -> None:
    name = pin.split("==")[0].replace("-", "_")
    found = on_this_machine(ModelFacts("m", ("python_function",), "3.11.7", (pin,)), **{name: here})
    assert any(f.severity is WARNS and pin.split("==")[1] in f.what for f in found) == warned


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://b/m", "boto3"),
        ("gs://b/m", "pip install google-cloud-storage,"),
        ("wasbs://b/m", "pip install azure-storage-blob azure-identity,"),
        ("pvc://claim/m", "volume of a cluster"),
    ],
)
def test_a_place_that_this_machine_cannot_read_blocks(uri: str, words: str) -> None:
    found = only(on_this_machine(ModelFacts("m"), uri), BLOCKS)
    assert words in f"{found.what} {found.mend}"


# -- the pair ----------------------------------------------------------------------------------------------------------


def columns(*names: str, kind: ColumnType = ColumnType.DOUBLE, outputs: tuple[str, ...] = ()) -> Signature:
    return Signature(columns=tuple(Column(n, kind) for n in names), outputs=outputs)


def test_equal_signatures_are_fine_in_any_order_of_columns() -> None:
    assert [f.severity for f in compare(columns("x", "y"), columns("y", "x"), ("a", "b"))] == [FINE]


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (columns("x", "y"), columns("x", "z"), "only a wants y; only b wants z"),
        (columns("x"), columns("x", kind=ColumnType.STRING), "x is double for a and string for b"),
        (columns("x"), Signature(tensors=(TensorSpec("float64", (-1, 3)),)), "named columns"),
        (columns("x"), Signature(), "b does not declare its inputs"),
        (
            Signature(tensors=(TensorSpec("float64", (-1, 3)),)),
            Signature(tensors=(TensorSpec("float64", (-1, 4)),)),
            "tensors differ",
        ),
        (columns("x", outputs=("double",)), columns("x", outputs=("string",)), "outputs differ: double of a, string"),
    ],
)
def test_a_difference_between_the_arms_is_named(one: Signature, two: Signature, words: str) -> None:
    assert words in only(list(compare(one, two, ("a", "b"))), WARNS).what


def test_a_long_list_of_columns_is_cut() -> None:
    finding = only(list(compare(columns(*(f"c{i}" for i in range(40))), columns("c0"), ("a", "b"))), WARNS)
    assert "and 33 more" in finding.what


# -- mends -------------------------------------------------------------------------------------------------------------


def test_each_mend_changes_what_it_says_and_nothing_else() -> None:
    shared = replace(WINE, predictors=tuple(replace(p, node="classifier") for p in WINE.predictors))
    xtype = Finding(BLOCKS, "columns", "", predictor="b", fix=Fix.XTYPE)
    done = mended(shared, [xtype])
    assert done.predictor("b").parameters == (Parameter("xtype", "DataFrame"),)
    assert done.predictor("a") == shared.predictor("a")
    assert mended(shared, [Finding(WARNS, "names", "", fix=Fix.NODE_NAMES)]) == WINE
    assert mended(WINE, [Finding(WARNS, "time", "", predictor="a", fix=Fix.START_BUDGET)]).predictor("a") == replace(
        WINE.predictor("a"), start_budget_s=1200
    )
    assert mended(WINE, [Finding(WARNS, "names", "")]) == WINE
    assert mended(done, [xtype]) == done


# -- all of it ---------------------------------------------------------------------------------------------------------


def find(uri: str) -> ModelRef:
    """The catalogue of two models that take one column."""
    if uri not in ("models:/m-a", "models:/m-b"):
        raise NotFound("model", uri)
    return ModelRef(uri, Provenance(), columns("x"), None, ("python_function", "sklearn"), "", "3.11", ())


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def checked(engine: MemoryEngine, deployment: Deployment = WINE) -> Report:
    return Preflight(engine, find, Prepared).check(deployment, note=NOTE)


def test_nothing_wrong_means_nothing_to_mend(engine: MemoryEngine) -> None:
    report = checked(engine)
    assert not report.blocks + report.warns
    assert [f.predictor for f in report.fine if f.topic == "model"] == ["a", "b"]
    assert engine.seen_models.keys() == {"a", "b"}


def test_what_the_engine_says_comes_first_where_it_matters_most(engine: MemoryEngine) -> None:
    engine.findings = [Finding(WARNS, "time", "slow"), Finding(BLOCKS, "quota", "no room")]
    report = checked(engine)
    assert [f.what for f in report.findings[:2]] == ["no room", "slow"]


def test_rules_of_seldon_come_before_everything_else(engine: MemoryEngine) -> None:
    odd = replace(WINE, predictors=(replace(WINE.predictors[0], traffic=70), WINE.predictors[1]))
    assert [f.what for f in checked(engine, odd).blocks] == ["Traffic sums to 90, not 100."]
    assert "My Wine" in checked(engine, replace(WINE, name="My Wine")).blocks[0].what
    assert engine.seen_models == {}


def test_a_model_that_is_not_there_blocks_for_its_arm(engine: MemoryEngine) -> None:
    odd = replace(WINE, predictors=(WINE.predictors[0], replace(WINE.predictors[1], model_uri="models:/m-x")))
    finding = checked(engine, odd).blocks[0]
    assert (finding.predictor, finding.topic) == ("b", "model")
    assert "models:/m-x" in finding.what


def test_what_runs_already_and_stays_is_never_blocked(engine: MemoryEngine) -> None:
    live = replace(WINE, predictors=(replace(WINE.predictors[0], model_uri="models:/m-x"), WINE.predictors[1]))
    engine.apply(live, note=NOTE)
    changed = replace(live, predictors=(live.predictors[0], replace(live.predictors[1], replicas=2)))
    report = checked(engine, changed)
    assert not report.blocks
    assert any("models:/m-x" in f.what for f in report.warns)
    engine.phases["seldon", "wine", "a"] = (Phase.FAILED, "no such model")
    assert checked(engine, changed).blocks


def test_an_mlflow_that_is_away_blocks_nothing(engine: MemoryEngine) -> None:
    def away(_: str) -> ModelRef:
        raise Unavailable("MLflow", "nothing listens there")

    report = Preflight(engine, away, Prepared).check(WINE, note=NOTE)
    assert not report.blocks
    assert all("not looked at" in f.what for f in report.warns)


def test_who_does_not_answer_in_time_is_not_waited_for(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "DEADLINE_S", 0.05)
    release = threading.Event()

    def slow(uri: str) -> ModelRef:
        release.wait(30)
        return find(uri)

    try:
        report = Preflight(engine, slow, Prepared).check(WINE, note=NOTE)
    finally:
        release.set()
    assert "did not answer within 0.05 s" in report.warns[0].what


def test_without_a_store_for_models_that_need_one_it_blocks(engine: MemoryEngine) -> None:
    def refuse(_: Deployment) -> Prepared:
        raise InvalidInput("No place for models is set.", "Set DECANT_MODEL_STORE.")

    finding = only(Preflight(engine, find, refuse).check(WINE, note=NOTE).findings, BLOCKS)
    assert finding.mend == "Set DECANT_MODEL_STORE."


def test_a_model_that_has_to_be_copied_first_is_said_to(engine: MemoryEngine) -> None:
    def prepare(deployment: Deployment) -> Prepared:
        moved = replace(deployment.predictors[0], model_uri="s3://store/m-a")
        return Prepared(replace(deployment, predictors=(moved, *deployment.predictors[1:])), ("a",))

    report = Preflight(engine, find, prepare).check(WINE, note=NOTE)
    assert any("copied to s3://store/m-a first" in f.what for f in report.fine)


def test_a_missing_right_counts_once(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise Forbidden("The cluster does not let bob create seldondeployments.", "Ask for it.")

    monkeypatch.setattr(engine, "apply", refused)
    assert [f.what for f in checked(engine).blocks] == ["The cluster does not let bob create seldondeployments."]
    engine.findings = [Finding(BLOCKS, RIGHTS, "Decant's account may not create seldondeployments.", "Bind the Role.")]
    assert [f.what for f in checked(engine).blocks] == ["Decant's account may not create seldondeployments."]
    engine.findings = [Finding(WARNS, RIGHTS, "Decant's account may not list events.", "Bind the Role.")]
    assert [f.what for f in checked(engine).blocks] == ["The cluster does not let bob create seldondeployments."]


def test_an_engine_that_is_away_is_a_warning(engine: MemoryEngine) -> None:
    engine.down = "The cluster"
    report = checked(engine)
    assert any("The cluster does not answer" in f.what for f in report.warns)
    assert not report.blocks


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield elastic_net(tmp_path)


def test_a_real_model_is_read_without_being_loaded(engine: MemoryEngine, folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("model.*"):
        file.write_bytes(b"loading this would fail")
    catalogue = ModelCatalogue(f"sqlite:///{tmp_path / 'none.db'}")
    deployment = Deployment("seldon", "wine", (Predictor("a", str(folder)),))
    report = Preflight(engine, catalogue.resolve, Prepared).check(deployment, note=NOTE)
    assert not report.blocks
    facts = engine.seen_models["a"]
    assert "sklearn" in facts.flavors
    assert facts.conda is not None
    assert facts.env_is_mapping
    assert facts.named_columns
    assert facts.python_version.startswith("3.")


def test_a_model_without_a_function_to_predict_with_blocks(engine: MemoryEngine, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    catalogue = ModelCatalogue(f"sqlite:///{tmp_path / 'none.db'}")
    deployment = Deployment("seldon", "wine", (Predictor("a", str(tmp_path)),))
    finding = Preflight(engine, catalogue.resolve, Prepared).check(deployment, note=NOTE).blocks[0]
    assert "no python_function flavor" in finding.what
    assert "PythonModel" in finding.mend
