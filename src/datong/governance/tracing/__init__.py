"""Whom a wrong value reached: the uses that were answered with it, the batch that brought it, the findings on it."""

from datong.governance.tracing.values import Told, ValueCopy, ValueOrigin, WrongUse, WrongValue
from datong.governance.tracing.wrong_values import WrongValues

__all__ = ["Told", "ValueCopy", "ValueOrigin", "WrongUse", "WrongValue", "WrongValues"]
