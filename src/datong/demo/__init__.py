"""The city of 示例市 and the paper's story, played through the platform's public interfaces."""

from datong.demo.city import City, CityPlan, build_city
from datong.demo.databases import Departments
from datong.demo.day import IncrementPlan
from datong.demo.dirt import Dirt
from datong.demo.options import DemoOptions, KillOrder
from datong.demo.records import COLUMNS, Records, Source
from datong.demo.story import play

__all__ = [
    "COLUMNS",
    "City",
    "CityPlan",
    "DemoOptions",
    "Departments",
    "Dirt",
    "IncrementPlan",
    "KillOrder",
    "Records",
    "Source",
    "build_city",
    "play",
]
