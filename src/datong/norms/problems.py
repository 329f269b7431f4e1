"""One thing wrong in a pack, and the error that lists all of them."""

from collections.abc import Sequence

from datong.kernel import Invalid, Text, Value

PROBLEMS_MAX = 50


class PackProblem(Value):
    """One thing wrong in a pack: where (YAML path) and what."""

    path: str
    message: Text


def pack_invalid(problems: Sequence[PackProblem]) -> Invalid:
    """Return the error that names every place of `problems` (at most 50 in its context)."""
    shown = problems[:PROBLEMS_MAX]
    return Invalid(
        "norms.pack_invalid",
        what=Text(
            zh="规范包有误：" + "；".join(f"{problem.path}：{problem.message.zh}" for problem in shown[:5]) + "。",
            en="The norm pack is wrong: " + "; ".join(f"{p.path}: {p.message.en}" for p in shown[:5]) + ".",
        ),
        remedy=Text(
            zh="请按路径逐处改正，再用 datong norms check 检查。",
            en="Correct each place, then check with `datong norms check`.",
        ),
        field=shown[0].path,
        context={"problems": [problem.model_dump() for problem in shown], "count": len(problems)},
    )
