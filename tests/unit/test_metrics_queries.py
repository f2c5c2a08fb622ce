"""The text of the queries: windows, escaping, and which labels they rely on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics import queries, split_queries
from services.metrics.queries import Labels, Selection

WINE = Selection("seldon", "wine")


@pytest.mark.parametrize("span_s", [300, 900, 3600, 6 * 3600, 24 * 3600])
def test_a_chart_has_150_to_300_points(span_s):
    assert 144 <= span_s / queries.choose_step_s(span_s, 2) <= 300


def test_a_step_is_never_shorter_than_a_scrape():
    assert queries.choose_step_s(300, 15) == 15


@given(st.integers(1, 86400), st.integers(1, 60))
def test_a_window_covers_four_scrapes_and_more_than_a_step(step_s, scrape_s):
    window_s = queries.choose_window_s(step_s, scrape_s)
    assert window_s >= 4 * scrape_s
    assert window_s > step_s


def test_requests_per_second():
    assert queries.rps(WINE, 8) == (
        "sum by (predictor_name) (rate(seldon_api_executor_server_requests_seconds_count"
        '{namespace="seldon",deployment_name="wine",service="predictions"}[8s]))'
    )


def test_latency_keeps_the_bucket_label_and_the_predictor():
    text = queries.latency_ms(WINE, 8, 0.95)
    assert text.startswith("1000 * histogram_quantile(0.95, sum by (le, predictor_name) (rate(")
    assert '_bucket{namespace="seldon",deployment_name="wine",service="predictions"}[8s]' in text


def test_reward_divides_rates_summed_over_replicas():
    text = queries.reward(WINE, 8)
    assert text.count("sum by (predictor_name)") == 2
    assert "feedback_reward_total" in text.splitlines()[0]
    assert "feedback_total" in text.splitlines()[1]


def test_errors_are_told_apart_by_code():
    text = queries.errors(WINE, 8)
    assert 'code=~"[45].."' in text
    assert 'envoy_response_code_class=~"[45]"' in text
    assert text.count('service="predictions"') == 3
    assert "status=" not in text


def test_a_query_without_a_deployment_looks_at_all():
    assert queries.request_counter(Selection(None, None)).endswith('_count{service="predictions"}')


@given(st.text())
def test_a_label_value_stays_one_value(value):
    quoted = queries.quote(value)
    assert quoted[0] == quoted[-1] == '"'
    inner = quoted[1:-1]
    assert not re.search(r'(?<!\\)(\\\\)*"', inner)
    assert "\n" not in inner
    undone = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), inner, flags=re.DOTALL)
    assert undone == value


def test_the_gateway_counter_counts_only_the_split():
    text = split_queries.router_counter(WINE)
    assert text == r'envoy_cluster_upstream_rq_total{envoy_cluster_name=~"split\\|seldon\\|wine\\|.+"}'


def test_the_split_of_any_deployment_has_a_matcher_that_stays_within_names():
    assert queries.answer_counter(Selection(None, None)) == (
        r'envoy_cluster_upstream_rq_xx{envoy_cluster_name=~"split\\|[^|]+\\|[^|]+\\|.+"}'
    )


def test_rates_by_deployment_take_each_arm_and_class_from_one_counter():
    text = queries.rate_by_deployment(WINE, 8)
    assert text.startswith("sum by (namespace, deployment_name) (max by (")
    assert '"counted_by", "model server"' in text
    assert '"counted_by", "gateway"' in text


SHARED = Selection("seldon", "wine", Labels("kubernetes_namespace", 'cluster="eu1"'))


@pytest.mark.parametrize(
    "text",
    [
        queries.rps(SHARED, 60),
        queries.reward(SHARED, 60),
        queries.latencies_ms(SHARED, 60, (0.5, 0.95)),
        queries.errors(SHARED, 60),
        queries.rate_by_deployment(SHARED, 60),
        queries.answer_counter(SHARED),
        queries.request_counter(SHARED),
        queries.feedback_counter(SHARED),
        queries.reward_counter(SHARED),
        split_queries.router_counter(SHARED),
        queries.last_sample(SHARED, 600),
        queries.alive(["10.0.0.1:8000"], SHARED.labels),
        queries.watched(SHARED.labels),
    ],
)
def test_in_a_shared_prometheus_every_selector_has_the_extra_matcher_and_the_other_label(text):
    selectors = re.findall(r"\b(?:seldon_\w+|envoy_cluster_upstream\w+|up)\b(\{[^}]*\})?", text)
    assert selectors
    assert all('cluster="eu1"' in selector for selector in selectors)
    assert not re.search(r"\bnamespace\b", text.replace("kubernetes_namespace", ""))


def test_a_window_may_be_text_that_grafana_fills_in():
    assert "[$__rate_interval]" in queries.rps(WINE, "$__rate_interval")
    assert "[$__rate_interval]" in queries.served_errors(WINE, "$__rate_interval")
