"""The dashboard in a real browser, against a running server and simulated hosts.

Each test fails for a message on the browser's console, an error of a script, or a breach of the page's policy.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.clients.conftest import Cloud
from tests.waiting import PATIENCE

pytestmark = pytest.mark.clients
AXE = Path(__file__).parents[1] / "dashboard/vendor/axe.js"
HOSTILE = "<img src=x onerror=alert(1)>"
WIDE, PHONE = (1280, 800), (390, 844)
Opener = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "script/bootstrap installs it"
    expect.set_options(timeout=PATIENCE * 10_000)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, cloud: Cloud) -> Iterator[Opener]:
    """``opened("#/hosts")``: a page of the dashboard in a tab of its own. ``expected``: what its console may say."""
    said: list[str] = []
    allowed: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        said.append(f"{message.type}: {message.text}")

    def begin(address: str = "", *, size: tuple[int, int] = WIDE, expected: str = "", **more: Any) -> Page:
        before = more.pop("before", None)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
        contexts.append(context)
        allowed.extend([expected] if expected else [])
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 10_000)
        page.on("console", note)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"a dialog opened: {dialog.message}"))
        if before is not None:
            before(page)
        page.goto(f"{cloud.root}/{address}")
        return page

    yield begin
    for context in contexts:
        context.close()
    assert [line for line in said if not any(re.search(one, line) for one in allowed)] == []


@pytest.fixture(scope="module")
def guests(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Name -> UUID: a small one, a big one that takes a minute to move, and one whose name is markup."""
    wanted = {"dash-small": "1", "dash-big": "4", HOSTILE: "1"}
    found = {name: cloud.create(name, flavor) for name, flavor in wanted.items()}
    cloud.until("all run", lambda: all(status(cloud, uuid) == "ACTIVE" for uuid in found.values()))
    yield found
    for uuid in found.values():
        httpx.delete(f"{cloud.url}/servers/{uuid}", timeout=PATIENCE * 30)
    cloud.until("all are gone", lambda: all(status(cloud, uuid) == "" for uuid in found.values()))


def status(cloud: Cloud, uuid: str) -> str:
    """ "" for one that is deleted."""
    (*found,) = cloud.get(f"/servers/detail?uuid={uuid}")["servers"]
    return found[0]["status"] if found else ""


def test_the_fleet_leads_to_a_host_and_to_an_instance_whose_name_is_text(
    opened: Opener, guests: dict[str, str]
) -> None:
    page = opened()
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    for host in ("n1", "n2", "n3"):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=host, exact=True))
        expect(row.get_by_text("up", exact=True)).to_be_visible()
    page.get_by_role("searchbox").fill(HOSTILE)
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.locator("p.lead")).to_contain_text(HOSTILE)
    expect(page.get_by_text(re.compile("^It (runs|is active) on n"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^build "))).to_be_visible()
    assert page.locator("main img").count() == 0
    page.get_by_role("searchbox").fill("no-such-name.*")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_text("No instance.", exact=True)).to_be_visible()
    expect(page.get_by_text("No host.", exact=True)).to_be_visible()
    page.get_by_role("searchbox").fill(guests["dash-small"])
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("p.lead")).to_contain_text("dash-small")


def test_a_live_migration_is_previewed_appears_without_a_reload_and_is_aborted(
    opened: Opener, cloud: Cloud, guests: dict[str, str]
) -> None:
    watched = opened("#/moves")
    expect(watched.get_by_role("heading", name="Ended lately")).to_be_visible()
    watched.evaluate("window.same = true")
    page = opened(f"#/instances/{guests['dash-big']}")
    page.get_by_role("button", name="Live-migrate…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("radio")).to_have_count(3)  # the scheduler's choice and the other hosts
    assert cloud.migrations("dash-big") == []  # a preview begins nothing
    dialog.get_by_role("button", name="Live-migrate", exact=True).click()
    expect(dialog).to_have_count(0)
    move = watched.get_by_role("listitem").filter(has_text="dash-big")
    expect(move).to_contain_text(re.compile(r"[1-9]\d* %.*left.*MiB/s"))
    assert watched.evaluate("window.same")
    move.get_by_role("link", name=re.compile("live-migration")).click()
    expect(watched.locator(".curve canvas")).to_be_visible()
    watched.get_by_role("button", name="Abort…").click()
    watched.get_by_role("dialog").get_by_role("button", name="Abort", exact=True).click()
    expect(watched.locator("p.lead").get_by_text("cancelled")).to_be_visible(timeout=PATIENCE * 30_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Opener, guests: dict[str, str], scheme: str) -> None:
    page = opened(color_scheme=scheme, bypass_csp=True)  # axe's own script is not the page's
    page.evaluate(AXE.read_text())
    for address in ("#/hosts", "#/hosts/n1", "#/moves", f"#/instances/{guests['dash-small']}", "#/drains", "#/alarms"):
        page.evaluate("address => { location.hash = address; }", address)
        expect(page.locator("main :is(table, .card, .empty)").first).to_be_visible()
        assert serious(page) == [], address
    page.goto(f"{page.url.split('#')[0]}#/hosts/n1")
    page.get_by_role("button", name="Drain…").click()
    expect(page.get_by_role("dialog").locator("table, .empty").first).to_be_visible()
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html']} {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical", "moderate")
    ]


def test_a_phone_shows_all_without_scrolling_sideways_and_keys_reach_it(opened: Opener, guests: dict[str, str]) -> None:
    page = opened(size=PHONE)
    for address in ("#/hosts", "#/instances", f"#/instances/{guests['dash-small']}", "#/moves"):
        page.evaluate("address => { location.hash = address; }", address)
        expect(page.locator("main :is(table, .card)").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_hidden_tab_closes_its_stream_and_opens_it_again(opened: Opener) -> None:
    page = opened()
    expect(page.locator(".stream")).to_have_text("live")
    for hidden, shown in ((True, "paused"), (False, "live")):
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )
        expect(page.locator(".stream")).to_have_text(shown)


def test_a_token_is_asked_for_and_goes_with_each_request_of_the_tab(opened: Opener) -> None:
    tokens: list[str | None] = []

    def ask(route: Route) -> None:
        given = route.request.headers.get("x-auth-token")
        tokens.append(given)
        if given == "secret":
            route.continue_(headers={k: v for k, v in route.request.headers.items() if k != "x-auth-token"})
        else:
            route.fulfill(status=401, headers={"WWW-Authenticate": 'Keystone uri="http://identity"'}, json={})

    page = opened(before=lambda page: page.route(re.compile("/v1/"), ask), expected="401")
    page.get_by_label("Token").fill("secret")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("link", name="n1", exact=True)).to_be_visible()
    assert set(tokens) == {None, "secret"}
    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_what_a_role_may_not_see_is_said_and_not_shown(opened: Opener) -> None:
    message = "Policy doesn't allow migrator:hosts:list to be performed."

    def refuse(route: Route) -> None:
        route.fulfill(status=403, json={"error": {"code": "forbidden", "message": message, "advice": None}})

    page = opened(before=lambda page: page.route(re.compile("/v1/"), refuse), expected="403")
    expect(page.get_by_role("alert")).to_contain_text(f"Your role does not allow this. {message}")
    expect(page.get_by_role("table")).to_have_count(0)
