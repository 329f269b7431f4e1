import pytest
from pydantic import ValidationError

from datong.demo.options import DemoOptions, KillOrder


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("hub@3", KillOrder(process="hub", step=3)),
        ("police@5+1.5", KillOrder(process="police", step=5, after_seconds=1.5)),
    ],
)
def test_reads_kill_orders(text: str, order: KillOrder) -> None:
    assert KillOrder.parse(text) == order
    assert DemoOptions.model_validate({"kill": [text]}).kill == (order,)


@pytest.mark.parametrize("text", ["", "hub", "hub@0", "hub@10", "nobody@3", "hub@3+", "HUB@3"])
def test_refuses_other_kill_orders(text: str) -> None:
    with pytest.raises(ValidationError):
        DemoOptions.model_validate({"kill": [text]})


def test_limits() -> None:
    with pytest.raises(ValidationError):
        DemoOptions(people=1)
    with pytest.raises(ValidationError):
        DemoOptions(sabotage=10)
