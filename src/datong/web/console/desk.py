"""The desk: one request to the console with everything a page needs: who asks, in which language, and how to answer."""

from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from datong.catalogue import Department
from datong.kernel import DepartmentCode, ResourceId, Text, Unauthenticated, Value
from datong.ledger import Quorum
from datong.sharing import Action, Delegation, PolicyEngine, Principal, Role, Target
from datong.sharing.tours import TourState
from datong.sharing.views import VIEWED_PAGES, SavedView, view_query
from datong.web.authentication import current_principal, optional_principal, services_of
from datong.web.console import texts, vocabulary
from datong.web.console.navigation import FOLDS_COOKIE, folds_in, sections_for
from datong.web.console.notices import NOTICES
from datong.web.console.subjects import subject_of
from datong.web.console.tour_steps import Step, Tour, tour_for
from datong.web.manual import section_of
from datong.web.problems import language_of
from datong.web.services import Services

TEMPLATES = Path(__file__).parent.parent / "templates"
PAGE_ROWS = 20
TOUR_COOKIE = "datong_tour"
"""Of a window that walks a guided tour; others do not ask how far it is."""


@cache
def environment() -> Environment:
    """Return the template environment; templates see only what a page gives them."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["vocab"] = vocabulary
    env.filters.update(
        number=texts.number,
        percent=texts.percent,
        size=texts.size,
        moment=texts.moment,
        moment_exact=texts.moment_exact,
        day=texts.day,
        deadline=texts.deadline,
        last_day=texts.last_day,
        short=texts.short,
    )
    return env


class Lent(Value):
    """A delegation by which the caller may act for somebody now, and how much waits there."""

    delegation: Delegation
    duties: int


class Walk(Value):
    """Where the caller is on the guided tour; `here`: this page is the step's."""

    tour: Tour
    number: int
    here: bool

    @property
    def step(self) -> Step:
        """The present step."""
        return self.tour.steps[self.number]


class Desk:
    """One request: its services, its caller (None for a visitor), its language; renders and redirects."""

    def __init__(self, request: Request, services: Services, principal: Principal | None) -> None:
        self.request = request
        self.services = services
        self.principal = principal
        self.speech = texts.Speech(language_of(request))
        self.now = services.clock.now()
        self.lent: tuple[Lent, ...] = ()
        self.asked: tuple[Delegation, ...] = ()
        self._departments: dict[DepartmentCode, Department] | None = None
        self._resource_titles: dict[ResourceId, Text] = {}

    @property
    def caller(self) -> Principal:
        """Who asks.

        Raises:
            Unauthenticated: a visitor does.
        """
        if self.principal is None:
            raise Unauthenticated(
                "web.sign_in_needed",
                what=Text(zh="这个页面需要登录。", en="This page needs you to sign in."),
                remedy=Text(zh="请登录。", en="Sign in."),
            )
        return self.principal

    def may(self, action: Action, target: Target | None = None) -> bool:
        """Whether the policy lets the caller do `action`; for showing what can be done, not for guarding it."""
        return self.principal is not None and self._policy.authorise(self.principal, action, target).allowed

    def may_contest(self, provider: DepartmentCode, consumer: DepartmentCode | None = None) -> bool:
        """Whether the caller may open a case between two departments."""
        return self.may(Action.CASE_ACT, Target(id="new", department=provider, provider=provider, consumer=consumer))

    def require(self, action: Action, target: Target | None = None) -> None:
        """Let the caller pass, or refuse with the policy's reasons.

        Raises:
            Refused: the policy does not permit it.
        """
        self._policy.require(self.caller, action, target)

    @property
    def may_request(self) -> bool:
        """Whether the caller may request data for its department."""
        department = self.principal.department if self.principal is not None else None
        return department is not None and self.may(Action.REQUEST_SUBMIT, Target(id="new", consumer=department))

    @property
    def _policy(self) -> PolicyEngine:
        return self.services.policy

    @property
    def departments(self) -> dict[DepartmentCode, Department]:
        """Every department by its code, read once for this page."""
        if self._departments is None:
            self._departments = {department.code: department for department in self.services.departments.all()}
        return self._departments

    def department_name(self, code: str | None, *, long: bool = False) -> str:
        """Return a department's short (or full) name; an unknown code stands for itself."""
        if not code:
            return "—"
        return self.speech.say(self.department_text(DepartmentCode(code), long=long))

    def department_text(self, code: DepartmentCode, *, long: bool = False) -> Text:
        """Return a department's short (or full) name in both languages; an unknown code stands for itself."""
        found = self.departments.get(code)
        if found is None:
            return Text(zh=code, en=code)
        return found.name if long else found.short_name

    def resource_title(self, resource_id: ResourceId) -> Text:
        """Return a resource's title, read once for this page.

        Raises:
            NotFound: no such resource.
        """
        if resource_id not in self._resource_titles:
            self._resource_titles[resource_id] = self.services.catalogue.get(resource_id).content.title
        return self._resource_titles[resource_id]

    def element_name(self, code: str) -> str:
        """Return the name of a data element, or of a source's own column (`column:<name>`)."""
        if code.startswith("column:"):
            return code.removeprefix("column:")
        pack = self.services.pack
        return self.speech.say(pack.element(code).name) if pack.has_element(code) else code

    def days_left(self, due_at: datetime | None) -> int | None:
        """Return the working days left until `due_at`; negative when it has passed."""
        return None if due_at is None else self.services.calendar.working_days_left(self.now, due_at)

    def is_late(self, due_at: datetime | None) -> bool:
        """Whether a deadline has passed."""
        return due_at is not None and self.now >= due_at

    def href(self, **changes: object) -> str:
        """Return this page's address with some query parameters changed; None or an empty text removes one."""
        given = [(name, value) for name, value in self.request.query_params.multi_items() if name not in changes]
        given = [(name, value) for name, value in given if name != "done"]
        given += [(name, str(value)) for name, value in changes.items() if value not in (None, "")]
        query = urlencode(given)
        return self.request.url.path + (f"?{query}" if query else "")

    def views_here(self) -> tuple[SavedView, ...] | None:
        """Return the views of this list that the caller can open; None where none can be kept."""
        if self.principal is None or self.request.url.path not in VIEWED_PAGES:
            return None
        person = self.principal.actor.id
        if not self.may(Action.VIEW_OWN, Target(id=person, person=person)):
            return None
        return self.services.views.of(person, self.principal.department, self.request.url.path)

    def opening_view(self) -> str:
        """Return the address of the view with which this list begins, if it was opened without any filter."""
        if self.request.url.query:
            return ""
        return next((view.address for view in self.views_here() or () if view.opens and view.query), "")

    def walk(self) -> Walk | None:
        """Return where the caller is on the guided tour of their role, if this window walks one."""
        tour = tour_for(self.principal) if TOUR_COOKIE in self.request.cookies else None
        if tour is None:
            return None
        progress = self.services.tours.progress(self.caller.actor.id, tour.name)
        if progress is None or progress.state is not TourState.WALKING:
            return None
        number = min(progress.step, len(tour.steps) - 1)
        return Walk(tour=tour, number=number, here=tour.steps[number].path == self.request.url.path)

    def offered_tour(self) -> tuple[Tour, bool] | None:
        """Return the tour that begins on this page if it was never begun, or was left; and whether it was left."""
        tour = tour_for(self.principal)
        if tour is not None and tour.steps[0].path != self.request.url.path:
            return None
        progress = self.services.tours.progress(self.caller.actor.id, tour.name) if tour is not None else None
        walking = TOUR_COOKIE in self.request.cookies
        if tour is None or (progress is not None and progress.state in (TourState.DONE, TourState.DECLINED)):
            return None
        if progress is not None and progress.state is TourState.WALKING and walking:
            return None
        return tour, progress is not None

    @property
    def tour(self) -> Tour | None:
        """The guided tour of the caller's role."""
        return tour_for(self.principal)

    @property
    def filters(self) -> str:
        """The filters of this page as a query string, in the form in which views keep them."""
        return view_query(self.request.url.query)

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
        """Render a template of the console."""
        body = environment().get_template(template).render(self._context() | values)
        return HTMLResponse(
            body, status_code=status, headers={"Cache-Control": "no-store", "Vary": "Cookie, HX-Request"}
        )

    def go(self, address: str, *, done: str = "") -> RedirectResponse:
        """Send the browser to one of our own pages after an act; `done` names a notice to show there."""
        mark = "&" if "?" in address else "?"
        return RedirectResponse(address + (f"{mark}done={done}" if done else ""), status_code=HTTPStatus.SEE_OTHER)

    def _role_names(self) -> str:
        if self.principal is None:
            return ""
        names = (self.speech.say(role) for role in sorted(self.principal.roles))
        return self.speech.t("、", ", ").join(names)

    def _unwitnessed(self) -> Quorum | None:
        """Return how the log is witnessed if too few do; those who answer for the log see it on each page."""
        if not self.may(Action.LEDGER_EXPORT):
            return None
        state = self.services.quorum.state()
        return None if state.holds else state

    def _unread(self) -> int | None:
        """Return how many notices the caller has not read; None: the caller has no inbox."""
        if self.principal is None:
            return None
        person = self.principal.actor.id
        return self.services.inbox.unread(person) if self.may(Action.NOTICE_OWN, Target(person=person)) else None

    def _context(self) -> dict[str, object]:
        account = self.principal
        return {
            "desk": self,
            "t": self.speech.t,
            "say": self.speech.say,
            "named": self.speech.named,
            "lang": self.speech.language.value,
            "now": self.now,
            "dept": self.department_name,
            "element_name": self.element_name,
            "about": lambda entry: subject_of(self, entry),
            "days_left": self.days_left,
            "is_late": self.is_late,
            "href": self.href,
            "path": self.request.url.path,
            "help_at": lambda named: section_of(named).address(self.speech.language),
            "principal": account,
            "citizen": account is not None and Role.CITIZEN in account.roles,
            "role_names": self._role_names(),
            "sections": sections_for(account),
            "folds": folds_in(self.request.cookies.get(FOLDS_COOKIE, "")),
            "unread": self._unread(),
            "unwitnessed": self._unwitnessed(),
            "simulated": self.services.clock.simulated,
            "notice": NOTICES.get(self.request.query_params.get("done", "")),
        }


def offset_of(request: Request) -> int:
    """Return the `offset` query parameter as a number of rows, 0 when it is none."""
    given = request.query_params.get("offset", "0")
    return min(int(given), 10_000_000) if given.isascii() and given.isdecimal() and len(given) < 9 else 0


def _signed_in(request: Request) -> Desk:
    return Desk(request, services_of(request), current_principal(request))


def _anyone(request: Request) -> Desk:
    return Desk(request, services_of(request), optional_principal(request))


SignedIn = Annotated[Desk, Depends(_signed_in)]
"""A handler's parameter: the desk of somebody who signed in; others are sent to the sign-in page."""
Anyone = Annotated[Desk, Depends(_anyone)]
"""A handler's parameter: the desk of whoever asks."""
Offset = Annotated[int, Depends(offset_of)]
"""A handler's parameter: the first row of the page asked for."""
