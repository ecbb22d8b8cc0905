"""The page on which people judge: pages made on the server, and a form for each thing that a person does.

Each judgement is one POST that names the token of its page, and is on the disk before it is answered. So whatever
happens to the browser, to the network or to this process, sending it again does no harm. The little script of the page
adds keys and sends again by itself; without it everything works too.
"""

import secrets
import unicodedata
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..chat.interface_text import language_of
from ..chat.web_server import HeadersOfEveryAnswer
from .campaign import RECORDED, Campaign, StoredJudgement, Task
from .interface_text import LANGUAGES, NAMES, TEXT, say
from .judgement_form import UnusableForm
from .logins import Logins
from .page_text import marked

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-opener-policy": b"same-origin",
}
MOST_BYTES = 1_000_000  # of a form
SECONDS_OF_A_SESSION = 14 * 24 * 3600
LONGEST_NAME = 40


class Questions(Protocol):
    """What a campaign asks: pairs, or dialogues to review."""

    template: str

    def tasks(self) -> list[Task]: ...

    def view(self, task: Task, annotator: str, before: StoredJudgement | None) -> dict[str, Any]: ...

    def content(self, form: Any, chosen_reasons: list[str], task: Task, annotator: str) -> dict[str, Any]: ...

    def counts(self, content: dict[str, Any]) -> bool: ...

    def after(self, campaign: Campaign) -> None: ...


class AnnotationPage:
    """The page of a campaign.

    Args:
        campaign: whose tasks are judged.
        questions: what is asked about them.
        guidelines: by language, as HTML.
        logins: who may come in; None lets everybody in under the name they give.
    """

    def __init__(self, campaign: Campaign, questions: Questions, guidelines: dict[str, Markup], logins: Logins | None):
        self.campaign, self.questions, self.guidelines, self.logins = campaign, questions, guidelines, logins
        self.templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters["marked"] = marked

    def app(self, session_key: str, allowed_hosts: list[str], https: bool = False) -> Starlette:
        """The page as an ASGI application.

        Args:
            session_key: signs the cookies.
            allowed_hosts: names under which it may be asked for.
            https: whether cookies are for https alone.
        """
        return Starlette(
            routes=[
                Route("/", self.show),
                Route("/enter", self.enter, methods=["POST"]),
                Route("/leave", self.leave, methods=["POST"]),
                Route("/judge", self.judge, methods=["POST"]),
                Route("/undo", self.undo, methods=["POST"]),
                Route("/language", self.choose_language, methods=["POST"]),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ],
            middleware=[
                Middleware(HeadersOfEveryAnswer, headers=HEADERS),
                Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts, www_redirect=False),
                Middleware(
                    SessionMiddleware, secret_key=session_key, session_cookie="nec13b_annotation",
                    max_age=SECONDS_OF_A_SESSION, same_site="lax", https_only=https,
                ),
            ],
            exception_handlers={HTTPException: self._error},
        )  # fmt: skip

    async def show(self, request: Request) -> Response:
        """What the person has to judge, the page to come in, or that all is done."""
        return await run_in_threadpool(self._shown, request)

    def _shown(self, request: Request, notice: str = "") -> Response:
        annotator = self._annotator(request)
        said = request.query_params.get("said", "")
        notice = notice or (said if said in TEXT["en"] else "")
        if annotator is None:
            return self._page(request, "enter.html.j2", notice=notice, logins=self.logins is not None)
        shown = self.campaign.task_for(annotator)
        last = self.campaign.last_of(annotator)
        values = {
            "notice": notice,
            "annotator": annotator,
            "progress": self.campaign.progress_of(annotator),
            "last": last.token if last else "",
        }
        if shown is None:
            return self._page(request, "finished.html.j2", **values)
        before = self.campaign.taken_back_of(annotator, shown.task.id)
        view = self.questions.view(shown.task, annotator, before)
        return self._page(request, self.questions.template, token=shown.token, **values, **view)

    async def enter(self, request: Request) -> Response:
        """Lets somebody in."""
        form = await self._form(request)
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        address = request.client.host if request.client else ""
        fault = await run_in_threadpool(self._fault_of_entry, name, password, address)
        if fault:
            page = self._page(request, "enter.html.j2", notice=fault, logins=self.logins is not None)
            page.status_code = {"wait": 429, "wrong_login": 401}.get(fault, 400)
            return page
        language = request.session.get("language")
        request.session.clear()
        request.session.update({"annotator": name, "csrf": secrets.token_urlsafe(16)})
        if language:
            request.session["language"] = language
        return RedirectResponse("/", 303)

    def _fault_of_entry(self, name: str, password: str, address: str) -> str:
        if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(c)[0] == "C" for c in name):
            return "bad_name" if self.logins is None else "wrong_login"
        if self.logins is None:
            return ""
        if self.logins.must_wait(name, address):
            return "wait"
        if self.logins.are_right(name, password):
            return ""
        self.logins.note_failure(name, address)
        return "wrong_login"

    async def leave(self, request: Request) -> Response:
        """Forgets who somebody is."""
        await self._form(request)
        request.session.pop("annotator", None)
        return RedirectResponse("/", 303)

    async def judge(self, request: Request) -> Response:
        """Takes note of a judgement, and goes on."""
        form = await self._form(request)
        annotator = self._somebody(request)
        return await run_in_threadpool(self._judged, request, form, annotator)

    def _judged(self, request: Request, form, annotator: str) -> Response:
        token = str(form.get("token", ""))
        shown = self.campaign.shown(token, annotator)
        if shown is None:
            return self._went(request, "strange")
        try:
            content = self.questions.content(form, form.getlist("reasons"), shown.task, annotator)
        except UnusableForm as fault:
            return self._went(request, str(fault), 400)
        try:
            seconds = float(form.get("seconds") or "nan")
        except ValueError:
            seconds = None
        counts = self.questions.counts(content)
        outcome = self.campaign.judge(token, annotator, content, counts, seconds)
        self.questions.after(self.campaign)
        return self._went(request, "" if outcome == RECORDED else outcome)

    async def undo(self, request: Request) -> Response:
        """Takes back a judgement, and shows its task again."""
        form = await self._form(request)
        annotator, token = self._somebody(request), str(form.get("token", ""))
        done = await run_in_threadpool(self.campaign.take_back, annotator, token)
        await run_in_threadpool(self.questions.after, self.campaign)
        return self._went(request, "taken_back" if done else "nothing_to_undo")

    async def choose_language(self, request: Request) -> Response:
        """Switches the interface to another language."""
        language = (await self._form(request)).get("language")
        if language in LANGUAGES:
            request.session["language"] = language
        return RedirectResponse("/", 303)

    def _went(self, request: Request, said: str, status: int = 200) -> Response:
        """Where to go next: the script is told, a plain form is sent there."""
        target = f"/?said={said}" if said else "/"
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"go": target, "said": say(self._language(request), said) if said else ""}, status)
        return RedirectResponse(target, 303)

    async def _form(self, request: Request):
        """The form of a request that came from this page; raises HTTPException for any other."""
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise HTTPException(411)
        if int(length) > MOST_BYTES:
            raise HTTPException(413)
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise HTTPException(415)
        form = await request.form(max_fields=200, max_part_size=MOST_BYTES)
        given, wanted = str(form.get("csrf", "")), request.session.get("csrf", "")
        if not wanted or not secrets.compare_digest(given.encode(), wanted.encode()):
            raise HTTPException(403)
        return form

    def _annotator(self, request: Request) -> str | None:
        name = request.session.get("annotator")
        return name if name and (self.logins is None or name in self.logins) else None

    def _somebody(self, request: Request) -> str:
        annotator = self._annotator(request)
        if annotator is None:
            raise HTTPException(401)
        return annotator

    def _language(self, request: Request) -> str:
        chosen = request.session.get("language")
        return chosen if chosen in LANGUAGES else language_of(request.headers.get("accept-language", ""))

    def _page(self, request: Request, template: str, **values) -> HTMLResponse:
        language = self._language(request)
        csrf = request.session.setdefault("csrf", secrets.token_urlsafe(16))
        kind = "review" if self.questions.template.startswith("review") else "pairs"
        text = self.templates.get_template(template).render(
            say=lambda key, **words: say(language, key, **words),
            language=language,
            languages=NAMES,
            csrf=csrf,
            title=say(language, f"{kind}_title"),
            guidelines=self.guidelines[language],
            **{"annotator": "", **values},
        )
        # A lone surrogate has no UTF-8; one that got this far is shown as a question mark.
        return HTMLResponse(text.encode("utf-8", "replace"), headers={"Cache-Control": "no-store"})

    async def _error(self, request: Request, error: HTTPException) -> Response:
        language = self._language(request) if "session" in request.scope else "en"
        words = say(language, "not_found" if error.status_code == 404 else "refused")
        return Response(f"{error.status_code} {words}\n", error.status_code, media_type="text/plain")
