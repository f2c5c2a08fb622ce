"""Databases of every age: new ones, old ones with their rows, half-migrated ones, newer ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.errors import StartFailed
from services.evidence import upgrade
from services.evidence.database import open_database
from services.evidence.schema import REVISION, VERSION_TABLE, metadata
from services.evidence.store import EvidenceStore
from tests.support.old_evidence import ROUTED_OF_0002, make_0002, make_old
from tests.support.outcomes import new_replay, outcome


def of(path: Path) -> str:
    return f"sqlite:///{path}"


def check_old_rows(store: EvidenceStore, rows: int = 250) -> None:
    outcomes = store.outcomes("seldon", "wine", limit=rows + 10)
    assert len(outcomes) == rows + 1 and len(store.changes()) == 1
    blocks = store.ledger.blocks("seldon", "wine")
    assert sum(b.sent for b in blocks) == sum(b.reward.n for b in blocks) == rows + 1
    assert sum(b.reward.total for b in blocks) == pytest.approx(sum(o.reward or 0 for o in outcomes))
    assert {b.absolute_error.mean for b in blocks} == {0.5}
    assert store.ledger.record([outcome(rows - 1, "b"), outcome(rows)]) == 1  # what was there is not counted again


def test_every_revision_leads_to_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    make_old(tmp_path / "old.db")
    database = open_database(of(tmp_path / "old.db"))
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    database.dispose()
    assert ScriptDirectory(str(upgrade.MIGRATIONS)).get_current_head() == REVISION


def test_a_database_from_before_revisions_is_migrated_with_its_rows(tmp_path: Path) -> None:
    make_old(tmp_path / "old.db")
    database = open_database(of(tmp_path / "old.db"))
    check_old_rows(EvidenceStore(database))
    with database.connect() as connection:
        assert upgrade.current(connection) == REVISION
        indexes = {index["name"] for index in sa.inspect(connection).get_indexes("outcomes")}
    assert {"ix_outcomes_puid", "outcomes_by_deployment", "ix_outcomes_block", "outcomes_by_reward"} <= indexes
    database.dispose()


def test_rows_of_before_are_marked_by_what_their_replay_did(tmp_path: Path) -> None:
    old = sa.create_engine(of(tmp_path / "old.db"))
    with old.begin() as connection:
        make_0002(connection)
    old.dispose()
    database = open_database(of(tmp_path / "old.db"))
    store = EvidenceStore(database)
    assert {o.puid: o.routed for o in store.outcomes("seldon", "wine")} == ROUTED_OF_0002
    assert sum(b.sent for b in store.ledger.blocks("seldon", "wine")) == len(ROUTED_OF_0002)
    assert sum(b.n for b in store.ledger.pair_blocks("seldon", "wine")) == 1
    database.dispose()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    first = open_database(of(tmp_path / "new.db"))
    new_replay(EvidenceStore(first))
    EvidenceStore(first).ledger.record([outcome(1)])
    first.dispose()
    second = open_database(of(tmp_path / "new.db"))
    assert [b.sent for b in EvidenceStore(second).ledger.blocks("seldon", "wine")] == [1]
    second.dispose()


def test_rows_of_a_killed_migration_get_their_blocks_at_the_next_start(tmp_path: Path) -> None:
    make_old(tmp_path / "old.db")
    first = open_database(of(tmp_path / "old.db"))
    with first.begin() as connection:  # as if it had been killed after the tables and the first 100 rows
        connection.execute(sa.text("UPDATE outcomes SET block = NULL WHERE id > 100"))
        connection.execute(sa.text("DELETE FROM blocks WHERE id NOT IN (SELECT block FROM outcomes WHERE id <= 100)"))
        counts = "SELECT count(*) FROM outcomes WHERE block = blocks.id"
        sums = "SELECT sum(reward) FROM outcomes WHERE block = blocks.id"
        connection.execute(
            sa.text(
                f"UPDATE blocks SET sent = ({counts}), reward_n = ({counts}), reward_total = ({sums}), "
                f"absolute_error_n = ({counts}), absolute_error_total = ({counts}) * 0.5"
            )
        )
    first.dispose()
    second = open_database(of(tmp_path / "old.db"))
    check_old_rows(EvidenceStore(second))
    second.dispose()


def test_a_database_of_a_newer_decant_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    database = open_database(of(tmp_path / "new.db"))
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StartFailed, match=r"newer Decant .*9999.*" + REVISION) as caught:
        open_database(of(tmp_path / "new.db"))
    assert "DECANT_DATABASE_URL" in caught.value.hint
    with database.connect() as connection:
        assert upgrade.current(connection) == "9999"
    database.dispose()
