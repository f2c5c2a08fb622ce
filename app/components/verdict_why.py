"""The drawer with everything behind the verdict: formulas, counts, windows, queries, and the report to take away."""

from __future__ import annotations

from datetime import tzinfo
from functools import partial

import streamlit as st

from app import format as fmt
from app.components.verdict_evidence import TITLES
from app.guard import boundary, escape
from app.wiring import services
from services.decisions.archive import Assess, verdict_table, verdicts_as
from services.evidence.export import ExportForm
from services.evidence.store import EvidenceStore
from services.verdict import figures, words
from services.verdict.export import verdict_as
from services.verdict.model import Assessment, Interval, Strand
from services.verdict.report import render_report
from services.verdict.rule import Source

LABELS = {ExportForm.PARQUET: "Parquet", ExportForm.CSV: "CSV"}
WELCH_NOTE = (
    "Welch's interval is the classical one at this look. It does not decide: looked at again and again, as a dashboard "
    "is, it excludes 0 by chance in a third to a half of all tests between equal arms. The always-valid interval is "
    "wider, and holds at every look together."
)


def draw_why(assessment: Assessment, zone: tzinfo, *, key: str) -> None:
    with st.expander("Why: formulas, counts, queries, report", icon=":material/help_center:", key=f"why-{key}"):
        with boundary("The report"):
            draw_downloads(assessment, key=key)
        for column, (source, strand) in zip(
            st.columns(2, gap="medium"),
            ((Source.PAIRED, assessment.paired), (Source.LIVE, assessment.live)),
            strict=True,
        ):
            with column, boundary(TITLES[source]):
                st.markdown(f"**{TITLES[source]}**")
                if strand is None:
                    st.caption("No evidence from this source.")
                else:
                    _draw_strand(assessment, strand, zone)
        st.caption(WELCH_NOTE)
        st.markdown(f"**The rule of test {assessment.test.id}**")
        st.markdown(
            "\n".join(f"- {escape(name)}: {escape(said)}" for name, said in words.rule_facts(assessment.test.rule))
        )
        test = assessment.test
        since = fmt.moment(test.started_at, zone)
        st.caption(escape(f"A is `{test.model_a}`, B is `{test.model_b}`, since {since}."))


def draw_downloads(assessment: Assessment, *, key: str) -> None:
    test = assessment.test
    with st.container(horizontal=True):
        st.download_button(
            "Report (HTML)",
            lambda: render_report(assessment).encode(),
            file_name=f"decant-{test.deployment}-test-{test.id}.html",
            mime="text/html",
            icon=":material/description:",
            on_click="ignore",
            key=f"report-{key}",
        )
        st.download_button(
            "Verdict (CSV)",
            partial(verdict_as, ExportForm.CSV, assessment),
            file_name=f"decant-{test.deployment}-test-{test.id}-verdict.csv",
            mime="text/csv",
            icon=":material/table_view:",
            on_click="ignore",
            key=f"verdict-csv-{key}",
        )
        store = services().store  # asked for here: the download is made in a thread of its own
        for form in ExportForm:
            st.download_button(
                f"Outcomes ({LABELS[form]})",
                partial(_outcomes, store, form, test.id),
                file_name=f"decant-{test.deployment}-test-{test.id}.{form}",
                mime="application/octet-stream",
                icon=":material/table_view:",
                on_click="ignore",
                key=f"outcomes-{form}-{key}",
            )
        _draw_archive(store, key=key)


def _draw_archive(store: EvidenceStore, *, key: str) -> None:
    """All tests of all deployments: the assessments that this takes are made when the button is pressed."""
    assess = services().verdicts.assess
    for form in ExportForm:
        st.download_button(
            f"All tests ({LABELS[form]})",
            partial(_archive, store, assess, form),
            file_name=f"decant-verdicts.{form}",
            mime="application/octet-stream",
            icon=":material/history:",
            on_click="ignore",
            key=f"archive-{form}-{key}",
            help="Every A/B test of every deployment with its rule, verdict and decision, one per line. A decided test "
            "says what it was decided on.",
        )


def _archive(store: EvidenceStore, assess: Assess, form: ExportForm) -> bytes:
    return verdicts_as(form, verdict_table(store, assess))


def _outcomes(store: EvidenceStore, form: ExportForm, test_id: int) -> bytes:
    return store.outcomes_as(form, store.export_scope(test=test_id))


def _draw_strand(assessment: Assessment, strand: Strand, zone: tzinfo) -> None:
    decides = assessment.test.rule.decided_by(strand.source)
    st.dataframe(strand_table(strand, decides=decides), hide_index=True, width="stretch")
    if strand.withheld:
        st.caption(f"Why no interval: {escape(strand.withheld)}")
    st.caption(escape(window_line(assessment, strand, zone)))
    if strand.query:
        in_words = strand.query.startswith("Ledger:")  # what was read there is said in words
        st.code(strand.query, language=None if in_words else "promql", wrap_lines=True)


def window_line(assessment: Assessment, strand: Strand, zone: tzinfo) -> str:
    """How it was estimated, and of which time. Pure."""
    since, until = (fmt.moment(at, zone) for at in (assessment.test.started_at, assessment.as_of))
    return f"{strand.formula.rstrip('.')}. Window: {since} to {until}."


def strand_table(strand: Strand, *, decides: bool) -> dict[str, list[str]]:
    """The always-valid interval and Welch's beside each other. Pure."""

    def column(found: Interval | None) -> list[str]:
        if found is None:
            return [fmt.NONE] * 5
        ends = figures.changes([found.estimate, found.low, found.high])
        return [*ends, figures.level(found.level), figures.p_value(found.p)]

    n = f"A {fmt.count(strand.n_a)}, B {fmt.count(strand.n_b)}"
    return {
        "Interval": ["B − A", "from", "to", "level", "p", "n"],
        "always-valid, decides" if decides else "always-valid": [*column(strand.interval), n],
        "Welch, at this look only": [*column(strand.welch), n],
    }
