"""Charts: the picture and the table say the same."""

import json

from hypothesis import given
from hypothesis import strategies as st

from datong.web.console.charts import Chart, Edge, bars, columns, heat, network, trend

NAMES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True)


def assert_is_data(chart: Chart) -> None:
    json.dumps(chart.option, ensure_ascii=False)
    assert all(len(row) == len(chart.header) for row in chart.rows)


@given(NAMES, st.data())
def test_network_sizes_follow_the_traffic(names: list[str], data: st.DataObject) -> None:
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names), st.integers(0, 10**9))
    edges = [Edge(source=a, target=b, amount=n) for a, b, n in data.draw(st.lists(pairs, max_size=20))]
    chart = network("n", "Network", nodes=names, edges=edges, header=("from", "to", "rows"))
    assert_is_data(chart)
    assert len(chart.rows) == len(edges)
    series = chart.option["series"]
    assert isinstance(series, list)
    drawn = {node["name"]: node for node in series[0]["data"]}
    assert set(drawn) == set(names)
    assert series[0]["circular"] == {"rotateLabel": True}
    busiest = max(drawn.values(), key=lambda node: node["value"])
    assert all(node["symbolSize"] <= busiest["symbolSize"] for node in drawn.values())


def test_network_draws_departments_that_only_appear_in_flows() -> None:
    chart = network("n", "N", nodes=["a"], edges=[Edge(source="a", target="b", amount=5)], header=("1", "2", "3"))
    series = chart.option["series"]
    assert isinstance(series, list)
    assert [node["name"] for node in series[0]["data"]] == ["a", "b"]


def test_trend_fills_the_first_line_only() -> None:
    chart = trend("t", "Trend", times=["01", "02"], series={"a": [1, 2], "b": [3, 4]}, time_name="Day")
    assert_is_data(chart)
    assert chart.rows == (("01", "1", "3"), ("02", "2", "4"))
    series = chart.option["series"]
    assert isinstance(series, list)
    assert ["areaStyle" in line for line in series] == [True, False]


def test_bars_and_columns_keep_their_order() -> None:
    across = bars("b", "Bars", names=["x", "y"], values=[1234.5, 2], header=("name", "value"), unit="%")
    up = columns("c", "Columns", names=["1", "2"], values=[1000, 1], header=("size", "count"))
    for chart in (across, up):
        assert_is_data(chart)
    assert across.rows == (("x", "1,234.5%"), ("y", "2%"))
    assert up.rows == (("1", "1,000"), ("2", "1"))


def test_heat_map_leaves_out_what_does_not_apply() -> None:
    chart = heat("h", "Heat", across=["a", "b"], down=["s"], cells={(0, 0): 12.5}, corner="source")
    assert_is_data(chart)
    assert chart.header == ("source", "a", "b")
    assert chart.rows == (("s", "12.5%", "—"),)
