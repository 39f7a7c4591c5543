"""Values that are made by another thread while the ones before are used."""

import threading

import pytest

from recjobs.core.ahead import ahead, mapped_ahead


def test_all_values_come_in_their_order():
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(ahead([])) == []


def test_the_next_value_is_made_while_one_is_used_and_no_further_one():
    made, second, third = [], threading.Event(), threading.Event()

    def values():
        for number, event in enumerate((threading.Event(), second, third)):
            made.append(number)
            event.set()
            yield number

    coming = ahead(values())
    assert next(coming) == 0
    assert second.wait(60)  # without anybody asking for it
    assert not third.wait(0.2)
    assert list(coming) == [1, 2]
    assert made == [0, 1, 2]


def test_an_error_comes_where_its_value_would_be_used():
    def values():
        yield 1
        raise OSError("a disk is full")

    coming = ahead(values())
    assert next(coming) == 1
    with pytest.raises(OSError, match="a disk is full"):
        next(coming)
    assert list(coming) == []


def test_a_caller_may_stop_early():
    coming = ahead(iter(range(100)))
    assert next(coming) == 0
    coming.close()
    assert list(coming) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_their_values_however_long_each_takes(threads):
    first = threading.Event()

    def doubled(value):
        if value == 0 and threads > 1:
            assert first.wait(60)
        if value == 1:
            first.set()
        return 2 * value

    assert list(mapped_ahead(doubled, range(7), threads)) == [0, 2, 4, 6, 8, 10, 12]
    assert list(mapped_ahead(doubled, [], threads)) == []


def test_no_more_values_are_made_than_threads_are_ahead():
    made = []

    def values():
        for number in range(9):
            made.append(number)
            yield number

    coming = mapped_ahead(str, values(), 2)
    assert next(coming) == "0"
    assert made == [0, 1, 2]
    assert list(coming) == ["1", "2", "3", "4", "5", "6", "7", "8"]


def test_an_error_comes_where_its_result_would_be_used():
    coming = mapped_ahead(int, ["1", "2", "x", "4"], 2)
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(ValueError, match="'x'"):
        next(coming)
