"""The evidence on PostgreSQL: tables of every age, several writers at once, and the same sums as on SQLite."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from services.errors import StartFailed
from services.evidence import upgrade
from services.evidence.database import open_database
from services.evidence.export import ExportForm
from services.evidence.late import LateTruth
from services.evidence.schema import REVISION, VERSION_TABLE, metadata
from services.evidence.store import EvidenceStore
from tests.support.old_evidence import ROUTED_OF_0002, make_0002
from tests.support.outcomes import (
    NearTruth,
    check_pairs,
    check_sums,
    new_replay,
    outcome,
    paired,
    paired_replay,
    some_outcomes,
)


@pytest.fixture
def store(postgres_url: str) -> Iterator[EvidenceStore]:
    database = open_database(postgres_url)
    yield EvidenceStore(database)
    database.dispose()


def test_several_writers_at_once(store: EvidenceStore) -> None:
    paired_replay(store)
    batch = some_outcomes(range(400), seed=1, make=paired)

    def write(seed: int) -> int:
        rows = batch[:]
        random.Random(seed).shuffle(rows)
        return sum(store.ledger.record(rows[start : start + 40]) for start in range(0, len(rows), 40))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 800
    assert check_pairs(store) > 0
    check_sums(store, "a")
    check_sums(store, "b")
    assert len(store.outcomes_as(ExportForm.CSV, store.export_scope("seldon", "wine")).splitlines()) == 801


def test_late_truths_while_rows_arrive(store: EvidenceStore) -> None:
    new_replay(store)
    bare = {"truth": None, "reward": None}
    store.ledger.record([outcome(row, **bare) for row in range(150)])

    def record(start: int) -> None:
        store.ledger.record([outcome(row, **bare) for row in range(start, start + 30)])

    def attach(start: int) -> list[int]:
        late = [LateTruth(f"r1-0-{row}", truth=row % 7) for row in range(start, start + 30)]
        return store.ledger.attach(late, NearTruth(), who="ann")[1]

    with ThreadPoolExecutor(4) as pool:
        written = [pool.submit(record, start) for start in range(150, 450, 30)]
        fed = [pool.submit(attach, start) for start in range(0, 150, 30)]
        for one in written:
            one.result()
        to_feed = [number for one in fed for number in one.result()]
    store.ledger.fed(dict.fromkeys(to_feed, ""))
    assert len(to_feed) == 150
    check_sums(store, "a")


def test_tests_and_decisions(store: EvidenceStore) -> None:
    first = store.tests.start("seldon", "wine", {"alpha": 0.05}, "a", "b", "ann")
    second = store.tests.start("seldon", "wine", {}, "a", "b", "ann")
    assert store.tests.running("seldon", "wine") == second and store.tests.get(first.id).ended_at
    made = store.decisions.add(second.id, "seldon", "wine", call="keep", winner="a", who="ann", why="")
    assert store.decisions.move(made.id, ["doing"], state="done") and store.decisions.unfinished() == []


def test_a_database_from_before_revisions_opened_by_several_at_once(postgres_url: str) -> None:
    old = sa.create_engine(postgres_url)
    config = Config()
    config.set_main_option("script_location", str(upgrade.MIGRATIONS))
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, upgrade.FIRST)
        connection.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(
            sa.text(
                "INSERT INTO outcomes (puid, namespace, deployment, predictor, segment, pass, prediction, truth, "
                "reward, latency_ms, status, error, at) SELECT 'p' || n, 'seldon', 'wine', 'a', 's', 0, '5.5', '6', "
                "0.5, 2, 'ok', '', now() FROM generate_series(1, 7000) AS n"
            )
        )
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(postgres_url), range(4)))
    blocks = EvidenceStore(opened[0]).ledger.blocks("seldon", "wine")
    assert (len(blocks), sum(b.sent for b in blocks), sum(b.reward.total for b in blocks)) == (70, 7000, 3500.0)
    with opened[0].connect() as connection:
        assert upgrade.current(connection) == REVISION
    with opened[0].begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StartFailed, match="9999"):
        open_database(postgres_url)
    for database in (old, *opened):
        database.dispose()


def test_rows_of_before_are_marked_and_every_revision_leads_to_the_tables_that_the_code_knows(
    postgres_url: str,
) -> None:
    old = sa.create_engine(postgres_url)
    with old.begin() as connection:
        make_0002(connection)
    old.dispose()
    database = open_database(postgres_url)
    assert {o.puid: o.routed for o in EvidenceStore(database).outcomes("seldon", "wine")} == ROUTED_OF_0002
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    database.dispose()


def test_a_new_database_opened_by_several_at_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(postgres_url), range(4)))
    assert EvidenceStore(opened[0]).ledger.blocks("seldon", "wine") == []
    for database in opened:
        database.dispose()
