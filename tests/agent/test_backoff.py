"""The wait before connecting again: bounded, jittered over its whole width, and short after a good connection."""

import random

import pytest

from chatops_agent.backoff import CAP_S, FIRST_S, LOST_S, Backoff


def longest(low: float, high: float) -> float:
    return high


@pytest.mark.parametrize("seed", range(20))
def test_every_wait_lies_between_nothing_and_the_width_and_never_above_the_cap(seed: int) -> None:
    backoff = Backoff(random.Random(seed).uniform)
    for _ in range(200):
        width = backoff.width_s
        assert 0 <= backoff.next_s() <= width <= CAP_S


def test_widths_double_up_to_the_cap() -> None:
    backoff = Backoff(longest)
    assert [backoff.next_s() for _ in range(9)] == [FIRST_S, 2, 4, 8, 16, 32, CAP_S, CAP_S, CAP_S]


def test_after_a_good_connection_the_waits_begin_again() -> None:
    backoff = Backoff(longest)
    for _ in range(30):
        backoff.next_s()
    backoff.connected()
    assert [backoff.next_s() for _ in range(7)] == [LOST_S, LOST_S, LOST_S, 16, 32, CAP_S, CAP_S]


def test_who_was_refused_waits_near_the_cap() -> None:
    backoff = Backoff(random.Random(1).uniform)
    assert all(CAP_S / 2 <= backoff.refused_s() <= CAP_S for _ in range(100))


@pytest.mark.parametrize("down_s", [1.0, 3.0])
def test_a_fleet_that_lost_its_backend_does_not_come_back_in_one_second(down_s: float) -> None:
    """500 agents, R8: no second holds more than 15 % of the attempts; R2: 99 % are back within 15 s."""
    attempts: list[float] = []
    back: list[float] = []
    for number in range(500):
        backoff = Backoff(random.Random(number).uniform)
        backoff.connected()
        at = backoff.next_s()
        attempts.append(at)
        while at < down_s:
            at += backoff.next_s()
            attempts.append(at)
        back.append(at)
    for second in range(20):
        assert sum(second <= at < second + 1 for at in attempts) <= 0.15 * len(attempts)
    assert sorted(back)[int(0.99 * len(back))] <= 15
