"""The closed vocabularies of 《政务信息资源目录编制指南(试行)》 and GB/T 43697, each member with its name.

These enums are closed because rules branch on them; everything open (data elements, code lists, limits, indicators)
lives in the norm packs.
"""

from enum import StrEnum

from datong.kernel import Text


class Grade(StrEnum):
    """Grade of data (GB/T 43697-2024 splits 一般数据 into L1–L4); a higher grade is more sensitive."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"

    @property
    def label(self) -> Text:
        """The grade's name."""
        return _GRADES[self]

    @property
    def rank(self) -> int:
        """1 for L1 to 4 for L4."""
        return int(self.value[1])


class ShareType(StrEnum):
    """共享类型: whether other departments may use the data."""

    UNCONDITIONAL = "1"
    CONDITIONAL = "2"
    NONE = "3"

    @property
    def label(self) -> Text:
        """The share type's name."""
        return _SHARE_TYPES[self]


class ShareMode(StrEnum):
    """共享方式 (《政务数据共享条例》 Art. 22): by which way the data is handed over."""

    INTERFACE = "interface"
    BULK = "bulk"
    FILE = "file"

    @property
    def label(self) -> Text:
        """The share mode's name."""
        return _SHARE_MODES[self]


class DataType(StrEnum):
    """数据类型 of an item, in the letters of the compilation guide."""

    CHARACTER = "C"
    NUMERIC = "N"
    CURRENCY = "Y"
    DATE = "D"
    DATETIME = "T"
    LOGICAL = "L"
    MEMO = "M"
    GENERAL = "G"
    DOUBLE = "B"
    INTEGER = "I"
    FLOAT = "F"

    @property
    def label(self) -> Text:
        """The data type's name."""
        return _DATA_TYPES[self]


class UpdateCycle(StrEnum):
    """更新周期: how often the provider refreshes the resource."""

    REAL_TIME = "real_time"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    HALF_YEARLY = "half_yearly"
    YEARLY = "yearly"
    IRREGULAR = "irregular"

    @property
    def label(self) -> Text:
        """The update cycle's name."""
        return _UPDATE_CYCLES[self][0]

    @property
    def days(self) -> int | None:
        """Calendar days within which a refresh is due; None for 不定期."""
        return _UPDATE_CYCLES[self][1]


class ResourceFormat(StrEnum):
    """格式 of an information resource."""

    ELECTRONIC_FILE = "1"
    SPREADSHEET = "2"
    DATABASE = "3"
    IMAGE = "4"
    STREAM = "5"
    SELF_DESCRIBING = "6"
    SERVICE = "7"

    @property
    def label(self) -> Text:
        """The format's name."""
        return _FORMATS[self]


class Mask(StrEnum):
    """How a value is shown to somebody who may see only part of it."""

    NAME = "name"
    ID = "id"
    PHONE = "phone"
    ADDRESS = "address"
    AMOUNT = "amount"
    DATE = "date"
    NONE = "none"

    @property
    def label(self) -> Text:
        """The mask's name."""
        return _MASKS[self]


class QualityFlag(StrEnum):
    """What is wrong with one raw value (GB/T 36344 规范性, 完整性, 准确性)."""

    MISSING = "missing"
    MALFORMED = "malformed"
    CHECKSUM = "checksum"
    IMPOSSIBLE_DATE = "impossible_date"
    UNKNOWN_CODE = "unknown_code"
    TOO_LONG = "too_long"
    INVALID_GEOMETRY = "invalid_geometry"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_CRS = "unknown_crs"

    @property
    def label(self) -> Text:
        """The flag's name."""
        return _FLAGS[self]


_GRADES = {
    Grade.L1: Text(zh="L1 可公开", en="L1 public"),
    Grade.L2: Text(zh="L2 内部", en="L2 internal"),
    Grade.L3: Text(zh="L3 敏感", en="L3 sensitive"),
    Grade.L4: Text(zh="L4 高敏感", en="L4 highly sensitive"),
}
_SHARE_TYPES = {
    ShareType.UNCONDITIONAL: Text(zh="无条件共享", en="Unconditional"),
    ShareType.CONDITIONAL: Text(zh="有条件共享", en="Conditional"),
    ShareType.NONE: Text(zh="不予共享", en="Not shared"),
}
_SHARE_MODES = {
    ShareMode.INTERFACE: Text(zh="服务接口", en="Service interface"),
    ShareMode.BULK: Text(zh="批量交换", en="Bulk exchange"),
    ShareMode.FILE: Text(zh="文件下载", en="File download"),
}
_DATA_TYPES = {
    DataType.CHARACTER: Text(zh="字符型", en="Character"),
    DataType.NUMERIC: Text(zh="数值型", en="Numeric"),
    DataType.CURRENCY: Text(zh="货币型", en="Currency"),
    DataType.DATE: Text(zh="日期型", en="Date"),
    DataType.DATETIME: Text(zh="日期时间型", en="Date and time"),
    DataType.LOGICAL: Text(zh="逻辑型", en="Logical"),
    DataType.MEMO: Text(zh="备注型", en="Memo"),
    DataType.GENERAL: Text(zh="通用型", en="General"),
    DataType.DOUBLE: Text(zh="双精度型", en="Double"),
    DataType.INTEGER: Text(zh="整型", en="Integer"),
    DataType.FLOAT: Text(zh="浮点型", en="Float"),
}
_UPDATE_CYCLES: dict[UpdateCycle, tuple[Text, int | None]] = {
    UpdateCycle.REAL_TIME: (Text(zh="实时", en="Real time"), 1),
    UpdateCycle.DAILY: (Text(zh="每日", en="Daily"), 1),
    UpdateCycle.WEEKLY: (Text(zh="每周", en="Weekly"), 7),
    UpdateCycle.MONTHLY: (Text(zh="每月", en="Monthly"), 31),
    UpdateCycle.QUARTERLY: (Text(zh="每季度", en="Quarterly"), 92),
    UpdateCycle.HALF_YEARLY: (Text(zh="每半年", en="Half-yearly"), 184),
    UpdateCycle.YEARLY: (Text(zh="每年", en="Yearly"), 366),
    UpdateCycle.IRREGULAR: (Text(zh="不定期", en="Irregular"), None),
}
_FORMATS = {
    ResourceFormat.ELECTRONIC_FILE: Text(zh="电子文件", en="Electronic file"),
    ResourceFormat.SPREADSHEET: Text(zh="电子表格", en="Spreadsheet"),
    ResourceFormat.DATABASE: Text(zh="数据库", en="Database"),
    ResourceFormat.IMAGE: Text(zh="图形图像", en="Image"),
    ResourceFormat.STREAM: Text(zh="流媒体", en="Streaming media"),
    ResourceFormat.SELF_DESCRIBING: Text(zh="自描述格式", en="Self-describing"),
    ResourceFormat.SERVICE: Text(zh="服务接口", en="Service interface"),
}
_MASKS = {
    Mask.NAME: Text(zh="姓名掩码", en="Name mask"),
    Mask.ID: Text(zh="证号掩码", en="Identifier mask"),
    Mask.PHONE: Text(zh="电话掩码", en="Telephone mask"),
    Mask.ADDRESS: Text(zh="地址掩码", en="Address mask"),
    Mask.AMOUNT: Text(zh="金额分段", en="Amount band"),
    Mask.DATE: Text(zh="日期掩码", en="Date mask"),
    Mask.NONE: Text(zh="不掩码", en="No mask"),
}
_FLAGS = {
    QualityFlag.MISSING: Text(zh="缺失", en="Missing"),
    QualityFlag.MALFORMED: Text(zh="格式不符", en="Malformed"),
    QualityFlag.CHECKSUM: Text(zh="校验码不符", en="Check character wrong"),
    QualityFlag.IMPOSSIBLE_DATE: Text(zh="日期不存在", en="Impossible date"),
    QualityFlag.UNKNOWN_CODE: Text(zh="代码不在代码表中", en="Code not in the list"),
    QualityFlag.TOO_LONG: Text(zh="超长", en="Too long"),
    QualityFlag.INVALID_GEOMETRY: Text(zh="几何无效", en="Invalid geometry"),
    QualityFlag.OUT_OF_RANGE: Text(zh="超出范围", en="Out of range"),
    QualityFlag.UNKNOWN_CRS: Text(zh="坐标系不受支持", en="Unsupported coordinate system"),
}
