"""What people come to the workbench for: the beginnings of the tasks that every department does, one click away."""

from datong.kernel import Text, Value
from datong.sharing import Action, Target
from datong.web.console.desk import Desk


class Start(Value):
    """The beginning of a task. `creates`: pressing it makes something, so it is sent as a form."""

    name: Text
    note: Text
    address: str
    creates: bool = False


def starts(desk: Desk) -> tuple[Start, ...]:
    """Return the beginnings that the caller may make."""
    department = desk.caller.department
    found: list[Start] = []
    if desk.may_request:
        found.append(
            Start(
                name=Text(zh="申请数据", en="Request data"),
                note=Text(zh="找到资源，说明事项和依据", en="find a resource, say what for"),
                address="/requests/new",
            )
        )
    if department is not None and desk.may(Action.RESOURCE_DRAFT, Target.of_department(department)):
        found.append(
            Start(
                name=Text(zh="发布资源", en="Publish a resource"),
                note=Text(zh="新建目录，完善、签批、提交", en="a new entry: complete, sign off, submit"),
                address="/catalogue/new",
                creates=True,
            )
        )
    if department is not None and desk.may(Action.TASK_READ, Target.of_department(department)):
        found.append(
            Start(
                name=Text(zh="看交换是否正常", en="See whether transfers run"),
                note=Text(zh="失败的排在最前，写明原因和办法", en="with reason and remedy where one failed"),
                address="/transfers",
            )
        )
    if department is not None and desk.may(Action.CORRECTION_ANSWER, Target(id="new", provider=department)):
        found.append(
            Start(
                name=Text(zh="答复数据差错", en="Answer reports of errors"),
                note=Text(zh="核实、更正，平台见到更正后办结", en="verify, correct, closed once seen"),
                address="/corrections?show=waiting",
            )
        )
    if department is not None and desk.may(Action.RATING_ANSWER, Target(id="new", provider=department)):
        found.append(
            Start(
                name=Text(zh="别人怎么评价我们", en="What was said of us"),
                note=Text(zh="需求部门的评分和理由，可以回应", en="points and reasons of consumers, to be answered"),
                address="/ratings?show=received",
            )
        )
    if department is not None:
        found.append(
            Start(
                name=Text(zh="谁用了我们的数据", en="Who used our data"),
                note=Text(zh="每一次调用，可下载证明", en="every call, with its proof"),
                address="/evidence?kind=sharing.access",
            )
        )
    return tuple(found)
