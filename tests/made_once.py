"""What each process of a run of tests would make for itself at first use: made before `tests.whole_run` forks them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from datong.catalogue.readings import toneless_syllables
from datong.norms import load_pack
from datong.web.application import description, prepare
from datong.web.console.desk import environment
from tests.new_control import template
from tests.processes import launcher


def make() -> None:
    """Make everything there is."""
    launcher()
    _read_sources()
    template()
    prepare()
    description()
    load_pack()
    toneless_syllables("数据")
    for name in environment().list_templates():
        environment().get_template(name)


@settings(max_examples=1, database=None)
@given(st.text())
def _read_sources(_: str) -> None:
    """A property of nothing: before its first example Hypothesis looks through all modules for constants."""
