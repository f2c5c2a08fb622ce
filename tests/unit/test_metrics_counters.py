"""Counter arithmetic on hand-worked samples."""

from __future__ import annotations

from services.metrics.counters import born_watched, common_start, gained, gained_since, most_by_class


def test_growth_is_the_difference():
    assert gained([3, 3, 10], baseline=1) == 9


def test_a_fall_is_a_restart_and_the_new_value_counts_in_full():
    assert gained([12, 4, 6], baseline=10) == 2 + 4 + 2


def test_without_samples_nothing_grew():
    assert gained([], baseline=7) == 0


def test_growth_starts_at_the_last_sample_at_or_before_the_start():
    samples = [(0, 100.0), (2, 110.0), (4, 130.0), (6, 135.0)]
    assert gained_since(samples, 2) == 25
    assert gained_since(samples, 3) == 25
    assert gained_since(samples, 6) == 0


def test_a_series_born_after_the_start_began_at_zero():
    assert gained_since([(10, 1.0), (12, 4.0)], 5) == 4


def test_all_series_of_a_target_are_counted_from_one_scrape():
    old, new = [(8, 50.0), (10, 60.0), (12, 64.0)], [(12, 3.0)]
    start = common_start([old, new], 9)
    assert start == 10
    assert [gained_since(s, start) for s in (old, new)] == [4, 3]


def test_no_scrape_since_the_start():
    assert common_start([[(1, 5.0)]], 2) is None


def test_a_series_that_nobody_watched_before_starts_at_its_first_value():
    assert gained_since([(10, 5000.0), (12, 5004.0)], 5, newborn=False) == 4
    assert gained_since([(4, 1.0), (12, 5.0)], 5, newborn=False) == 4
    assert gained_since([], 5, newborn=False) == 0


def test_what_was_watched_tells_a_new_series_from_an_old_one():
    watched = {0.0, 2.0, 4.0, 6.0, 8.0, 10.0}
    assert born_watched(10, 2, {6.0: 1.0, 8.0: 1.0}, watched)  # its target was scraped without it
    assert not born_watched(10, 2, {6.0: 0.0, 8.0: 0.0}, watched)  # its target could not be scraped
    assert born_watched(10, 2, {10.0: 1.0}, watched)  # a target that is new
    assert not born_watched(10, 2, {10.0: 1.0}, {0.0, 10.0})  # nothing was watched
    assert not born_watched(10, 2, {10.0: 1.0}, {8.0, 10.0})  # the watching had only just begun again


def test_predictions_are_counted_once_by_the_counter_that_saw_more():
    servers = {("a", "2"): 150.0, ("a", "5"): 2.0, ("shadow", "2"): 100.0}  # pinned and mirrored ones included
    gateway = {("a", "2"): 100.0, ("a", "5"): 7.0, ("b", "5"): 20.0}  # the 5 and 20 it made itself included
    assert most_by_class(servers, gateway) == {
        ("a", "2"): 150, ("a", "5"): 7, ("shadow", "2"): 100, ("b", "5"): 20,
    }  # fmt: skip
    assert most_by_class(servers, {}) == servers
