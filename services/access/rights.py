"""What a viewer may do with the services, and what only a lead may: every method of every part, on one page.

A method that is in neither list is refused to viewers, and a test fails until somebody says here which it is. What a
look writes by itself (an intent settled, an overtaken test ended) is upkeep, and no change of anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping

Methods = Mapping[str, frozenset[str]]


def _of(**methods: str) -> dict[str, frozenset[str]]:
    return {part.replace("__", "."): frozenset(names.split()) for part, names in methods.items()}


READS: Methods = _of(
    engine="arm_options endpoint events get list loads_unseen logs manifest preflight preview startup",
    operations="history",
    runs="artifacts experiments ping registered_models row_split run search tracking_uri",
    models="resolve",
    datasets="of_run",
    training="get log parameters recent waiting",
    predictions="request_for",
    replays="get recent size waiting",
    publications="get prepare recent waiting",
    metrics="answers base_url chart examine history kept last_sample ping rates_now router_counts tiles totals",
    store="arm_ledger changes count_outcomes export_scope first_change intended_changes outcomes outcomes_as ping "
    "recorded_rows",
    store__replays="get in_state recent",
    store__shares="of",
    store__ledger="blocks deployments_of largest_disagreements pair_blocks pair_rows top_rewards unfed",
    store__publications="get in_state recent source_of",
    store__tests="every get recent running",
    store__files="get has shared",
    store__leases="holder holders holds shared",
    store__decisions="get recent unfinished",
    preflight="check left_out",
    verdicts="assess counted_since propose repeats running tests unlike untested",
    decisions="get preview recent rehearse report standing",
    health="all one",
)

CHANGES: Methods = _of(
    engine="apply delete relay set_traffic",
    operations="apply delete give_time set_traffic undo",
    runs="end",
    models="fetch",
    datasets="",
    training="cancel mark_interrupted recover run stop submit",
    predictions="close feedback for_person predict send",
    replays="cancel pause preview recover resume run stop submit",
    publications="apply cancel recover run stop",
    metrics="",
    store="confirm_change drop_change export_outcomes intend_change record_change record_outcomes",
    store__replays="add move progress",
    store__shares="clear put",
    store__ledger="attach fed record",
    store__publications="add move note_address",
    store__tests="conclude end start",
    store__files="put",
    store__leases="release take",
    store__decisions="add move reopen",
    preflight="",
    verdicts="begin_with end start",
    decisions="decide settle undo",
    health="",
)
