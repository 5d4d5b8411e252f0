"""How the culprits of a refused batch are found, and what that costs."""

from math import log2

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmctl.halving import Halving

NUMBER = 100


def deliver(bad: set[int], *, stop: int = NUMBER, accepted: bool = False) -> tuple[set[int], int]:
    """Send 0..99 where whatever holds one of `bad` is refused; returns what was taken, and the requests beyond one.

    As `delivery.py` does it: hopeless after a first refusal until anything is accepted, stopped after so many then.
    """
    halving, taken, requests, refused = Halving(range(NUMBER)), set[int](), 0, 0
    while (part := halving.take(hopeless=refused > 0 and not accepted)) is not None:
        requests += 1
        if not bad & set(part):
            taken |= set(part)
            accepted, refused = True, 0
        elif len(part) > 1:
            halving.split(part)
        else:
            refused += 1
            if refused >= stop and not accepted:
                break
    return taken, requests - 1


@settings(max_examples=300, derandomize=True)
@example(set(range(NUMBER)))
@example({0})
@example({NUMBER - 1})
@given(st.sets(st.integers(0, NUMBER - 1), min_size=1))
def test_every_good_record_goes_through_and_the_cost_grows_with_the_logarithm(bad: set[int]) -> None:
    """With k bad records among n at most about 2 k log2(n / k) + 2 k requests more are sent; never 4 above that."""
    taken, requests = deliver(bad)
    assert set(range(NUMBER)) - bad == taken
    bound = 2 * len(bad) * log2(NUMBER / len(bad)) + 2 * len(bad)
    assert requests < bound + 4


def test_nothing_is_sent_twice_and_the_order_is_that_of_the_batch() -> None:
    """While there is hope, parts are sent from the first to the last."""
    halving, sent = Halving("abcdefgh"), []
    while (part := halving.take()) is not None:
        sent.append(part)
        if "d" in part and len(part) > 1:
            halving.split(part)
    assert ["abcdefgh", "abcd", "ab", "cd", "c", "d", "efgh"] == sent


def test_where_nothing_is_accepted_single_records_tell() -> None:
    """A wrong host costs twenty-six requests rather than two hundred."""
    taken, requests = deliver(set(range(NUMBER)), stop=20)
    assert (set(), 25) == (taken, requests)


def test_a_block_of_bad_records_stops_nothing() -> None:
    """The first sixty are bad: the first record looked at elsewhere shows that it is not hopeless."""
    taken, _ = deliver(set(range(60)), stop=20)
    assert set(range(60, 100)) == taken


def test_nothing_is_left_of_nothing() -> None:
    """An empty batch has no parts, and putting nothing back changes nothing."""
    halving: Halving[int] = Halving([])
    halving.put([])
    assert halving.take() is None
    assert halving.take(hopeless=True) is None
    halving.put([1, 2])
    assert [1, 2] == halving.take()


def test_the_middle_of_the_largest_part_comes_first_where_it_looks_hopeless() -> None:
    """What is around it stays, in its order."""
    halving = Halving("abcdefg")
    halving.split("xy")
    assert ["d", "b"] == [halving.take(hopeless=True) for _ in range(2)]
    assert ["x", "y", "a", "c", "efg", None] == [halving.take() for _ in range(6)]
