"""Why a plan may not be carried out: beyond a limit, or nothing declared."""

from test_plan import create, matching, planned, update

from crmctl.desired import Desired
from crmctl.limits import NOTHING_CHOSEN, NOTHING_DECLARED, Limits, exceeded, undeclared
from crmctl.resource import Resource


def test_nothing_declared_is_refused() -> None:
    """A kind without records declares nothing either; whoever chose is told to look at the choice."""
    some = Desired({"account": {"a.example": Resource(create().address, {})}})
    assert [] == undeclared(some, chosen=False)
    assert [NOTHING_DECLARED] == undeclared(Desired({"account": {}}), chosen=False)
    assert [NOTHING_CHOSEN] == undeclared(Desired({}), chosen=True)


def test_thirty_percent_unless_set_from_ten_records_up() -> None:
    """Three updates of ten are allowed, four are not, and of nine records all may be updated."""
    three, four = ([update(number) for number in range(count)] for count in (3, 4))
    assert [] == exceeded(planned(three, live=matching(10)), Limits())
    [sentence] = exceeded(planned(four, live=matching(10)), Limits())
    assert "updating 4 of 10 matched records (40 %) is more than max_percent allows (30 %)" == sentence
    assert [] == exceeded(planned(four, live=matching(9)), Limits())
