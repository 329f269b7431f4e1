"""European and Chinese vocabularies side by side: which concept of the EU's authority tables a value of ours is."""

from collections.abc import Mapping

from datong.kernel import Text
from datong.norms import UpdateCycle

AUTHORITY = "http://publications.europa.eu/resource/authority/"
DATA_THEMES = AUTHORITY + "data-theme"
MEDIA_TYPES = "http://www.iana.org/assignments/media-types/"

THEMES: Mapping[str, tuple[str, Text]] = {
    "AGRI": ("AGRI", Text(zh="农业、渔业、林业和食品", en="Agriculture, fisheries, forestry and food")),
    "ECON": ("ECON", Text(zh="经济和金融", en="Economy and finance")),
    "EDUC": ("EDUC", Text(zh="教育、文化和体育", en="Education, culture and sport")),
    "ENVI": ("ENVI", Text(zh="环境", en="Environment")),
    "GOVE": ("GOVE", Text(zh="政府和公共部门", en="Government and public sector")),
    "HEAL": ("HEAL", Text(zh="健康", en="Health")),
    "JUST": ("JUST", Text(zh="司法和公共安全", en="Justice, legal system and public safety")),
    "REGI": ("REGI", Text(zh="区域和城市", en="Regions and cities")),
    "SOCI": ("SOCI", Text(zh="人口和社会", en="Population and society")),
    "TRAN": ("TRAN", Text(zh="交通", en="Transport")),
}
THEME_OF: Mapping[str, str] = {
    "population": "SOCI",
    "family": "SOCI",
    "employment": "SOCI",
    "property": "REGI",
    "education": "EDUC",
    "geography": "REGI",
    "enterprise": "ECON",
    "health": "HEAL",
    "general": "GOVE",
}
"""Our themes by key. A local pack's theme that is not here gets no European one: none is better than a wrong one."""
FREQUENCIES: Mapping[UpdateCycle, tuple[str, Text]] = {
    UpdateCycle.REAL_TIME: ("UPDATE_CONT", Text(zh="持续更新", en="continuously updated")),
    UpdateCycle.DAILY: ("DAILY", Text(zh="每日", en="daily")),
    UpdateCycle.WEEKLY: ("WEEKLY", Text(zh="每周", en="weekly")),
    UpdateCycle.MONTHLY: ("MONTHLY", Text(zh="每月", en="monthly")),
    UpdateCycle.QUARTERLY: ("QUARTERLY", Text(zh="每季度", en="quarterly")),
    UpdateCycle.HALF_YEARLY: ("ANNUAL_2", Text(zh="每半年", en="semiannual")),
    UpdateCycle.YEARLY: ("ANNUAL", Text(zh="每年", en="annual")),
    UpdateCycle.IRREGULAR: ("IRREG", Text(zh="不定期", en="irregular")),
}
LANGUAGES: Mapping[str, tuple[str, Text]] = {
    "zh": ("ZHO", Text(zh="中文", en="Chinese")),
    "en": ("ENG", Text(zh="英文", en="English")),
}
FILE_TYPES: Mapping[str, str] = {
    "CSV": "CSV",
    "JSON": "JSON",
    "GeoJSON": "GEOJSON",
    "XML": "XML",
    "PDF": "PDF",
    "ZIP": "ZIP",
    "XLSX": "XLSX",
    "XLS": "XLS",
    "Parquet": "PARQUET",
    "HTML": "HTML",
}
"""Our short names of formats in the table of file types."""
