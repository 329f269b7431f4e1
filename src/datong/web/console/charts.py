"""Charts as plain data: ECharts options, and the same numbers as a table for those who cannot see a picture."""

import math
from collections.abc import Iterable, Mapping, Sequence

from datong.kernel import Value

BLUE, TEAL, AMBER, VIOLET, RED, GREY = "#1d4ed8", "#0f766e", "#b45309", "#6d28d9", "#b91c1c", "#64748b"
PALETTE = (BLUE, TEAL, AMBER, VIOLET, RED, GREY)
INK, INK_SOFT, LINE = "#1c2536", "#4b5769", "#d5dbe6"
NODE_SIZE_MIN, NODE_SIZE_MAX = 16, 40
LABEL_PX_WIDE, LABEL_PX_NARROW = 12.0, 6.6
MARKED_POINTS_MAX = 14
LEGEND_LINE_PX, LEGEND_MARK_PX, LEGEND_WIDTH_PX = 24, 45, 420
HEAT_TOP_MIN = 10.0
EDGE_WIDTH_MIN, EDGE_WIDTH_MAX = 1.2, 7.0
WARM, HOT = 0.4, 0.75
"""From which part of the longest wait on an arrow is amber, and red."""


class Chart(Value):
    """One chart: `id` is unique on its page; `label` tells what it shows to those who do not see it."""

    id: str
    label: str
    option: dict[str, object]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    size: str = ""


class Edge(Value):
    """A flow of rows from one department to another."""

    source: str
    target: str
    amount: int


def network(
    chart_id: str, label: str, *, nodes: Sequence[str], edges: Sequence[Edge], header: tuple[str, str, str]
) -> Chart:
    """Return the exchange network: departments in a circle, flows as arrows as thick as they are busy."""
    traffic = dict.fromkeys(nodes, 0)
    for edge in edges:
        for end in (edge.source, edge.target):
            traffic[end] = traffic.get(end, 0) + edge.amount
    most = max(traffic.values(), default=0) or 1
    margin = 14 + max((_label_px(name) for name in traffic), default=0)
    widest = max((edge.amount for edge in edges), default=0) or 1
    option: dict[str, object] = {
        "tooltip": {},
        "series": [
            {
                "type": "graph",
                "layout": "circular",
                "circular": {"rotateLabel": True},
                "left": margin,
                "right": margin,
                "top": margin,
                "bottom": margin,
                "label": {"show": True, "position": "right", "color": INK, "fontSize": 12},
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 8,
                "itemStyle": {"color": BLUE},
                "lineStyle": {"color": "#6f8cc4", "curveness": 0.22, "opacity": 0.75},
                "emphasis": {"focus": "adjacency", "lineStyle": {"opacity": 1}},
                "data": [
                    {"name": name, "value": amount, "symbolSize": _between(NODE_SIZE_MIN, NODE_SIZE_MAX, amount / most)}
                    for name, amount in traffic.items()
                ],
                "links": [
                    {
                        "source": edge.source,
                        "target": edge.target,
                        "value": edge.amount,
                        "lineStyle": {"width": _between(EDGE_WIDTH_MIN, EDGE_WIDTH_MAX, edge.amount / widest)},
                    }
                    for edge in edges
                ],
            }
        ],
    }
    rows = tuple((edge.source, edge.target, f"{edge.amount:,}") for edge in edges)
    return Chart(id=chart_id, label=label, option=option, header=header, rows=rows, size="tall")


class Place(Value):
    """A node of a map of steps, `x` to the right and `y` downwards."""

    name: str
    x: float
    y: float
    amount: int


class Way(Value):
    """From one node of a map of steps to another: how often, how it is labelled, how bad it is (0 to 1)."""

    source: str
    target: str
    amount: int
    text: str
    heat: float


def ways(
    chart_id: str,
    label: str,
    *,
    places: Sequence[Place],
    edges: Sequence[Way],
    header: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
) -> Chart:
    """Return a map of steps: arrows as thick as they are frequent, the redder the longer they take."""
    most = max((place.amount for place in places), default=0) or 1
    widest = max((way.amount for way in edges), default=0) or 1
    option: dict[str, object] = {
        "tooltip": {},
        "series": [
            {
                "type": "graph",
                "layout": "none",
                "left": 60,
                "right": 60,
                "top": 40,
                "bottom": 40,
                "label": {"show": True, "position": "bottom", "color": INK, "fontSize": 12},
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 9,
                "itemStyle": {"color": BLUE},
                "emphasis": {"focus": "adjacency"},
                "data": [
                    {
                        "name": place.name,
                        "value": place.amount,
                        "x": place.x,
                        "y": place.y,
                        "symbolSize": _between(NODE_SIZE_MIN, NODE_SIZE_MAX, place.amount / most),
                    }
                    for place in places
                ],
                "links": [
                    {
                        "source": way.source,
                        "target": way.target,
                        "value": way.amount,
                        "label": {"show": True, "formatter": way.text, "fontSize": 11, "color": INK_SOFT},
                        "lineStyle": {
                            "width": _between(EDGE_WIDTH_MIN, EDGE_WIDTH_MAX, way.amount / widest),
                            "color": RED if way.heat > HOT else AMBER if way.heat > WARM else "#6f8cc4",
                            "curveness": 0.15,
                            "opacity": 0.8,
                        },
                    }
                    for way in edges
                ],
            }
        ],
    }
    return Chart(id=chart_id, label=label, option=option, header=header, rows=tuple(rows), size="tall")


def trend(
    chart_id: str,
    label: str,
    *,
    times: Sequence[str],
    series: Mapping[str, Sequence[int | None]],
    time_name: str,
    filled: bool = True,
) -> Chart:
    """Return lines over time from zero, the first one filled; None is a gap.

    Without `filled` they are lines to be told apart, and the axis begins near the lowest.
    """
    option: dict[str, object] = {
        "color": list(PALETTE),
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0, "textStyle": {"color": INK}},
        "grid": {
            "left": 6,
            "right": 14,
            "top": 16 + LEGEND_LINE_PX * _legend_lines(series),
            "bottom": 4,
            "containLabel": True,
        },
        "xAxis": {"type": "category", "data": list(times), "axisLabel": {"color": INK_SOFT, "hideOverlap": True}},
        "yAxis": _value_axis() | ({} if filled else {"scale": True}),
        "series": [
            {
                "name": name,
                "type": "line",
                "data": list(values),
                "symbolSize": 6,
                "showSymbol": len(times) <= MARKED_POINTS_MAX,
                "smooth": False,
                **({"areaStyle": {"opacity": 0.1}} if filled and place == 0 else {}),
            }
            for place, (name, values) in enumerate(series.items())
        ],
    }
    rows = tuple((when, *(_shown(values[place]) for values in series.values())) for place, when in enumerate(times))
    return Chart(id=chart_id, label=label, option=option, header=(time_name, *series), rows=rows)


def bars(
    chart_id: str, label: str, *, names: Sequence[str], values: Sequence[float], header: tuple[str, str], unit: str = ""
) -> Chart:
    """Return horizontal bars in the given order, from the top."""
    option: dict[str, object] = {
        "datongUnit": unit,
        "color": [BLUE],
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "grid": {"left": 6, "right": 56, "top": 6, "bottom": 4, "containLabel": True},
        "xAxis": {**_value_axis(), "axisLabel": {"show": False}, "splitLine": {"show": False}},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": list(names),
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": LINE}},
            "axisLabel": {"color": INK, "width": 150, "overflow": "break", "interval": 0},
        },
        "series": [
            {
                "name": header[1],
                "type": "bar",
                "data": list(values),
                "barMaxWidth": 16,
                "itemStyle": {"borderRadius": [0, 4, 4, 0]},
                "label": {"show": True, "position": "right", "color": INK},
            }
        ],
    }
    rows = tuple((name, f"{value:,}{unit}") for name, value in zip(names, values, strict=True))
    return Chart(id=chart_id, label=label, option=option, header=header, rows=rows)


def columns(
    chart_id: str, label: str, *, names: Sequence[str], values: Sequence[int], header: tuple[str, str]
) -> Chart:
    """Return upright columns."""
    option: dict[str, object] = {
        "color": [BLUE],
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "grid": {"left": 6, "right": 10, "top": 24, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "category", "data": list(names), "axisLabel": {"color": INK_SOFT}},
        "yAxis": _value_axis(),
        "series": [
            {
                "name": header[1],
                "type": "bar",
                "data": list(values),
                "barMaxWidth": 36,
                "itemStyle": {"borderRadius": [4, 4, 0, 0]},
                "label": {"show": True, "position": "top", "color": INK},
            }
        ],
    }
    rows = tuple((name, f"{value:,}") for name, value in zip(names, values, strict=True))
    return Chart(id=chart_id, label=label, option=option, header=header, rows=rows)


def heat(
    chart_id: str,
    label: str,
    *,
    across: Sequence[str],
    down: Sequence[str],
    cells: Mapping[tuple[int, int], float],
    corner: str,
    unit: str = "%",
) -> Chart:
    """Return a heat map; `cells` maps (place across, place down) to a value, and leaves out what does not apply."""
    highest = max(HEAT_TOP_MIN, *cells.values()) if cells else HEAT_TOP_MIN
    option: dict[str, object] = {
        "datongUnit": unit,
        "tooltip": {},
        "grid": {"left": 6, "right": 10, "top": 10, "bottom": 46, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": list(across),
            "axisLabel": {"color": INK, "interval": 0, "rotate": 30 if len(across) > 5 else 0},
            "axisTick": {"show": False},
            "axisLine": {"show": False},
        },
        "yAxis": {
            "type": "category",
            "inverse": True,
            "axisLine": {"show": False},
            "data": list(down),
            "axisLabel": {"color": INK, "interval": 0, "width": 130, "overflow": "break"},
            "axisTick": {"show": False},
        },
        "visualMap": {
            "min": 0,
            "max": highest,
            "calculable": False,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 120,
            "inRange": {"color": ["#eef4ff", "#fde3bd", "#f2a65a"]},
            "textStyle": {"color": INK_SOFT},
            "text": [f"{highest:g}{unit}", f"0{unit}"],
        },
        "series": [
            {
                "type": "heatmap",
                "data": [[x, y, value] for (x, y), value in cells.items()],
                "label": {"show": True, "fontSize": 11, "color": INK},
                "itemStyle": {"borderColor": "#fff", "borderWidth": 2},
            }
        ],
    }
    rows = tuple(
        (name, *(f"{cells[(x, y)]:g}{unit}" if (x, y) in cells else "—" for x in range(len(across))))
        for y, name in enumerate(down)
    )
    return Chart(
        id=chart_id,
        label=label,
        option=option,
        header=(corner, *across),
        rows=rows,
        size="tall" if len(down) > 2 else "short",
    )


def _value_axis() -> dict[str, object]:
    return {
        "type": "value",
        "minInterval": 1,
        "axisLabel": {"color": INK_SOFT},
        "splitLine": {"lineStyle": {"color": "#e6eaf1"}},
    }


def _label_px(name: str) -> int:
    """Return about how long a label is: Chinese characters are square, others half as wide."""
    return round(sum(LABEL_PX_WIDE if ord(character) > 0x2E80 else LABEL_PX_NARROW for character in name))


def _legend_lines(names: Iterable[str]) -> int:
    """Return on how many lines a chart of half a page's width has room for its legend."""
    lines, used = 1, 0
    for name in names:
        width = LEGEND_MARK_PX + _label_px(name)
        if used and used + width > LEGEND_WIDTH_PX:
            lines, used = lines + 1, 0
        used += width
    return lines


def _shown(value: int | None) -> str:
    return "—" if value is None else f"{value:,}"


def _between(low: float, high: float, share: float) -> float:
    """Return the value at `share` (0 to 1) of the way from `low` to `high`, by the square root: areas count."""
    return round(low + (high - low) * math.sqrt(max(share, 0.0)), 1)
