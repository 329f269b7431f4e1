"""What the indicator counts: the line that goes into `FORMULAS` of `datong.governance.indicators`."""

from datong.governance import Measure
from datong.governance.indicators import Formula

FORMULA = {"refused_share": Formula(counted=Measure.CALL_REFUSED, base=Measure.CALL_MADE)}
