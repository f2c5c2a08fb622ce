"""Late truth: a file that says what was right, or what a prediction was worth, after the predictions were made."""

from __future__ import annotations

import io
from itertools import islice

import streamlit as st

from app import format as fmt
from app import reads
from app.components.reward_picker import draw_reward
from app.components.rights import leads_only
from app.guard import boundary, escape
from app.wiring import services, who
from services.domain import Deployment
from services.domain.csv_text import not_utf8
from services.errors import InvalidInput
from services.evidence.export import ExportForm
from services.evidence.late import LateTruth
from services.traffic.rewards import Reward
from services.truths.attaching import attach_truths, resend
from services.truths.files import BadLine, Header, read_header, read_truths
from services.truths.report import Report

PREVIEWED = 5
REPLAYS, CHOSEN = "As in its replay", "By one formula"
REPLACE = "Replace what is there and differs"
WAITING_COUNTED = 1_000
_RESULT = "late-truth-result"


def draw_late_truth(deployment: Deployment) -> None:
    """Upload, preview, attach; what became of the last file stays until the next."""
    if not leads_only("Attaching truths"):
        return
    st.caption(
        "Truths or rewards that became known after the predictions: a CSV whose first line is `puid,truth` or "
        "`puid,reward`. They go into the ledger and, as feedback, to the arm that earned them, if they tell of the "
        "running A/B test and the split in force."
    )
    with st.container(border=True):
        given = st.file_uploader(
            "A line per prediction",
            type=["csv"],
            max_upload_size=services().settings.max_upload_mb,
            key="late-truth-upload",
        )
        if given is None:
            _draw_download(deployment)
        else:
            with boundary("The upload"):
                text = _decode(given.getvalue())
                header = read_header(text.split("\n", 1)[0])
                _draw_preview(text, header)
                _draw_attach(deployment, text, header, given.file_id)
    key, report = st.session_state.get(_RESULT, ("", None))
    if report is not None and key == deployment.key:
        draw_report(report)
    with boundary("The list of rewards on their way"):
        _draw_waiting(deployment)


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8("The upload", content) from error


def _draw_preview(text: str, header: Header) -> None:
    """The first lines as they are understood, and the columns that nobody asked for."""
    first = list(islice(read_truths(io.StringIO(text)), PREVIEWED))
    if not first:
        raise InvalidInput("The upload has a header but no lines.")
    st.table([_shown(one, header) for one in first])
    lines = fmt.count(text.count("\n") - (1 if text.endswith("\n") else 0))
    ignored = f"; not used: {escape(', '.join(header.ignored))}" if header.ignored else ""
    st.caption(f":material/check: About {lines} lines, columns found{ignored}.")


def _shown(one: LateTruth | BadLine, header: Header) -> dict[str, str]:
    if isinstance(one, BadLine):
        return {"puid": f":red[line {one.line}: {escape(one.words)}]"}
    found = {"puid": escape(one.puid)}
    if header.truth is not None:
        found["truth"] = escape(fmt.NONE if one.truth is None else str(one.truth))
    if header.reward is not None:
        found["reward"] = fmt.NONE if one.reward is None else fmt.number(one.reward, 4)
    return found


def _draw_attach(deployment: Deployment, text: str, header: Header, upload: str) -> None:
    reward: Reward | None = None
    if header.truth is not None:
        choice = st.segmented_control(
            "What a truth earns", [REPLAYS, CHOSEN], default=REPLAYS, required=True, key="late-truth-by"
        )
        if choice == CHOSEN:
            reward = draw_reward(key="late-truth-reward")
        else:
            st.caption("Single requests have no replay: their truths are kept without a reward.")
    replace = st.checkbox(
        REPLACE,
        key="late-truth-replace",
        help="Else it stays as it is. What was replaced is recorded; an arm's counter keeps the first reward.",
    )
    why = st.text_input("Reason", key="late-truth-why", max_chars=500) if replace else ""
    with st.container(horizontal=True):
        attach = st.button("Attach", type="primary", icon=":material/add_link:", key=f"attach-{upload}")
        check = st.button("Dry run", icon=":material/rule:", key=f"check-{upload}", help="Says what would happen.")
    if not (attach or check):
        return
    built = services()
    bar = st.progress(0.0, text="Reading")
    total = max(1, text.count("\n"))

    def show(report: Report) -> None:
        bar.progress(min(1.0, report.lines / total), text=f"{fmt.count(report.lines)} lines")

    try:
        report = attach_truths(
            *(built.engine, built.predictions, built.store),
            io.StringIO(text),
            who=who(),
            why=why.strip(),
            reward=reward,
            only=(deployment.namespace, deployment.name),
            overwrite=replace,
            dry_run=check,
            progress=show,
        )
    finally:
        bar.empty()
    st.session_state[_RESULT] = (deployment.key, report)
    if not check:
        reads.forget()


def draw_report(report: Report) -> None:
    """What became of the lines of a file, and of the rewards that were sent."""
    with st.container(border=True):
        if report.lines:
            _draw_counts(report)
        if report.unknown_puids:
            more = report.unknown - len(report.unknown_puids)
            rest = f" and {fmt.count(more)} more" if more else ""
            named = f"puid{'s' * (report.unknown != 1)} {escape(', '.join(report.unknown_puids))}"
            st.caption(f"No prediction of this deployment has the {named}{rest}.")
        if report.contradicts:
            st.warning(contradiction_words(report), icon=":material/difference:")
        for bad in report.bad_lines:
            st.caption(f":red[Line {fmt.count(bad.line)}: {escape(bad.words)}.]")
        if more := report.bad - len(report.bad_lines):
            st.caption(f":red[And {fmt.count(more)} more bad line{'s' * (more != 1)}.]")
        if report.fed:
            st.caption(f":material/check: {_rewards(report.fed)} reached the arms' counters.")
        if report.unpriced:
            said = f"{report.unpriced_words}. Choose “{CHOSEN}” and attach the same file again."
            st.warning(escape(said), icon=":material/money_off:")
        for sentence in report.aside_sentences:
            st.caption(f":material/inventory_2: {sentence}.")
        if report.unfed:
            st.caption(
                f":red[{_rewards(report.unfed)} did not reach the arms' counters: {escape(report.feedback_error)}]"
            )


def contradiction_words(report: Report) -> str:
    """The lines that say something else than what is stored, in Markdown. Pure."""
    verb = "contradicts" if report.contradicts == 1 else "contradict"
    said = f"{fmt.count(report.contradicts)} {verb} what is stored, which stays. Tick “{REPLACE}” to replace it."
    lines = [f"- Line {fmt.count(one.line)}: {escape(one.words)}" for one in report.contradictions]
    more = report.contradicts - len(lines)
    return "\n".join([said, *lines, *([f"- and {fmt.count(more)} more"] if more else [])])


def _draw_counts(report: Report) -> None:
    st.markdown("**What would happen**" if report.dry_run else "**What became of the file**")
    counts = {
        "Attached": report.attached,
        "Replaced": report.replaced,
        "Had it already": report.kept,
        "Contradict": report.contradicts,
        "Unknown puid": report.unknown,
        "No answer": report.unanswered,
        "Bad line": report.bad,
    }
    with st.container(horizontal=True):
        for label, number in counts.items():
            st.metric(label, fmt.count(number))


def _draw_waiting(deployment: Deployment) -> None:
    """Rewards that have not reached their arm's counter, of late truths and of replays."""
    built, only = services(), (deployment.namespace, deployment.name)
    waiting = len(built.store.ledger.unfed(only=only, limit=WAITING_COUNTED))
    if not waiting:
        return
    number = _rewards(waiting) if waiting < WAITING_COUNTED else f"{fmt.count(waiting)} rewards or more"
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"{number} in the ledger: not in the arm's counter yet.")
        if st.button("Send again", icon=":material/send:", key="late-truth-resend"):
            report = resend(built.engine, built.predictions, built.store, only=only)
            st.session_state[_RESULT] = (deployment.key, report)
            reads.forget()
            st.rerun()


def _rewards(number: int) -> str:
    return f"{fmt.count(number)} reward{'s' * (number != 1)}"


def _draw_download(deployment: Deployment) -> None:
    built = services()
    scope = built.store.export_scope(deployment.namespace, deployment.name)
    st.download_button(
        "Predictions with their puids",
        data=lambda: built.store.outcomes_as(ExportForm.CSV, scope),
        file_name=f"{deployment.name}-outcomes.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        help="Every outcome of this deployment, as CSV: fill in what was right, and upload it here.",
    )
