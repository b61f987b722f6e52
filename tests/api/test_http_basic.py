"""``auth_strategy = http_basic``: who is let in, how others are told, and what wrong passwords cost."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from migrator.api.gate import refusal_pace
from migrator.api.identity import http_basic as http_basic_module
from migrator.api.identity import users
from migrator.api.identity.http_basic import HttpBasic
from migrator.db.engine import Database
from migrator.errors import ServerBusy, SettingInvalid
from migrator.reloaded import Reloaded
from tests.api import seed
from tests.api.callers import basic, files, http_basic, line
from tests.api.harness import Web

LIST = ("GET", "/v2.1/servers")


@pytest.fixture
def guarded(db: Database, tmp_path: Path) -> Iterator[Web]:
    seed.host(db, "compute1")
    made = Web(db, tmp_path, http_basic(tmp_path))
    yield made
    made.services.db.close()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were compared with."""
    found: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        found.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return found


def test_a_user_reaches_the_things_of_its_project(guarded: Web) -> None:
    own, other = seed.instance(guarded.db, "a", project_id="own"), seed.instance(guarded.db, "b", project_id="other")
    headers = basic("member", "password of member")
    found = guarded("GET", "/v2.1/servers", headers=headers).json()["servers"]
    assert [server["id"] for server in found] == [own]
    answer = guarded("GET", f"/v2.1/servers/{other}", headers=headers)
    assert answer.json() == {"itemNotFound": {"code": 404, "message": f"Instance {other} could not be found."}}
    made = guarded("POST", "/image/v2/images", json={"name": "x"}, headers=headers).json()
    assert (made["owner"], made["visibility"]) == ("own", "shared")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Auth-Token": "member"},
        {"Authorization": "Bearer member"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic bWVtYmVy"},  # no colon
        {"Authorization": "Basic bWVtYmVyOgBh"},  # a NUL
        {"Authorization": "Basic /zph"},  # no UTF-8
        basic("member", "wrong"),
        basic("member", ""),
        basic("", "password of member"),
        basic("carol", "password of member"),
        basic("member" * 1000, "x" * 1000),
    ],
)
def test_whoever_is_not_known_is_challenged(guarded: Web, headers: dict[str, str]) -> None:
    answer = guarded(*LIST, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="migrator"'
    message = "The request you have made requires authentication."
    assert answer.json() == {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    native = guarded("GET", "/v1/operations", None, headers=headers)
    assert (native.status_code, native.json()["error"]["code"]) == (401, "unauthorized")


def test_a_password_is_compared_once_and_an_unknown_user_costs_what_a_wrong_password_costs(
    guarded: Web, compared: list[bytes]
) -> None:
    for _ in range(5):
        assert guarded(*LIST, headers=basic("member", "password of member")).status_code == 200
    assert len(compared) == 1
    guarded(*LIST, headers=basic("member", "wrong"))
    guarded(*LIST, headers=basic("carol", "wrong"))
    assert len(compared) == 3
    assert {hashed[4:6] for hashed in compared} == {b"04"}


def test_a_changed_file_counts_within_a_second_and_a_broken_one_changes_nothing(
    guarded: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("migrator.reloaded._REST_S", 0.0)
    authenticator = http_basic(tmp_path)
    passwords = tmp_path / "htpasswd"
    web = Web(guarded.db, tmp_path, authenticator)
    old, new = basic("member", "password of member"), basic("member", "another")
    assert web(*LIST, headers=old).status_code == 200
    text = passwords.read_text()
    passwords.write_text(text.replace("member:", "#member:") + line("member", "another"))
    assert web(*LIST, headers=old).status_code == 401
    assert web(*LIST, headers=new).status_code == 200
    passwords.write_text(text + "member\n")
    assert web(*LIST, headers=new).status_code == 200
    assert "what it said before stays in force" in caplog.text
    assert "line 8: the password of member is no bcrypt hash" in caplog.text
    web.services.db.close()


@pytest.mark.parametrize(
    ("emptied", "why"),
    [
        ("htpasswd", "roles.yaml, line 3: member has no password in "),
        ("roles.yaml", "htpasswd, line 5: member has no project in "),
    ],
)
def test_a_user_that_is_taken_out_of_one_file_is_refused_from_then_on_and_others_are_not(
    guarded: Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    emptied: str,
    why: str,
) -> None:
    monkeypatch.setattr("migrator.reloaded._REST_S", 0.0)
    web = Web(guarded.db, tmp_path, http_basic(tmp_path))
    headers = basic("member", "password of member")
    assert web(*LIST, headers=headers).status_code == 200
    both, path = (tmp_path / "htpasswd", tmp_path / "roles.yaml"), tmp_path / emptied
    path.write_text("".join(one for one in path.read_text().splitlines(True) if not one.startswith("member:")))
    assert web(*LIST, headers=headers).status_code == 401
    assert web(*LIST, headers=basic("reader", "password of reader")).status_code == 200
    assert why in caplog.text
    restarted = Web(guarded.db, tmp_path, HttpBasic(Reloaded((), lambda: users.load(*both))))
    assert restarted(*LIST, headers=headers).status_code == 401
    for one in (web, restarted):
        one.services.db.close()


def test_guesses_are_paced_for_their_address_and_known_users_do_not_wait(
    guarded: Web, monkeypatch: pytest.MonkeyPatch, compared: list[bytes]
) -> None:
    monkeypatch.setattr(refusal_pace, "BURST", 3)
    monkeypatch.setattr(refusal_pace, "_PER_S", 0.0)
    monkeypatch.setattr(refusal_pace, "_HELD_S", 0.01)
    known = basic("member", "password of member")
    assert guarded(*LIST, headers=known).status_code == 200
    guesses = [guarded(*LIST, headers=basic("admin", f"guess {number}")) for number in range(6)]
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429, 429]
    assert int(guesses[-1].headers["Retry-After"]) > 0
    assert len(compared) == 4, "what is one too many is not compared"
    assert guarded(*LIST, headers=known).status_code == 200
    assert guarded("GET", "/").status_code == 200


def test_only_so_many_passwords_wait_and_the_event_loop_goes_on(tmp_path: Path) -> None:
    passwords, projects = files(tmp_path)
    passwords.write_text(line("member", "right", 8))
    projects.write_text("member: {project: own, roles: [member]}\n")
    made = HttpBasic(Reloaded((), lambda: users.load(passwords, projects)))

    async def crowd() -> tuple[list[Any], float]:
        guesses = [made.verified(dict(_lower(basic("member", f"{number}")))) for number in range(80)]
        waiting = asyncio.gather(*guesses, return_exceptions=True)
        longest, last = 0.0, time.monotonic()
        while not waiting.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return await waiting, longest

    found, longest = asyncio.run(crowd())
    assert sum(isinstance(one, ServerBusy) for one in found) == 14
    assert longest < 5.0


def test_an_address_with_many_wrong_passwords_keeps_no_other_out(tmp_path: Path, compared: list[bytes]) -> None:
    """It waits behind itself: the other's is compared among the next few, and its own are bounded."""
    made = http_basic(tmp_path)

    async def crowd() -> int:
        guesses = [_verified(made, f"{number}", "192.0.2.1") for number in range(100)]
        waiting = asyncio.gather(*guesses, return_exceptions=True)
        await asyncio.sleep(0)
        await _verified(made, "password of member", "192.0.2.2")
        before = len(compared)
        await waiting
        return before

    assert asyncio.run(crowd()) <= 6
    assert len(compared) == 67


def test_many_addresses_share_the_room_in_which_passwords_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_basic_module, "_WAITING", 70)
    made = http_basic(tmp_path)

    async def crowd() -> list[Any]:
        guesses = [_verified(made, f"{number}", "192.0.2.1") for number in range(66)]
        waiting = asyncio.gather(*guesses, return_exceptions=True)
        await asyncio.sleep(0)
        others = [_verified(made, "password of member", f"192.0.2.{number}") for number in range(2, 32)]
        found = await asyncio.gather(*others)
        await waiting
        return found

    assert [identity.user_id for identity in asyncio.run(crowd())] == ["member"] * 30


def test_a_password_that_is_in_use_is_remembered_while_it_is(tmp_path: Path, compared: list[bytes]) -> None:
    now = [0.0]
    written = files(tmp_path)
    made = HttpBasic(Reloaded((), lambda: users.load(*written)), lambda: now[0])
    headers = dict(_lower(basic("member", "password of member")))
    asyncio.run(made.verified(headers))
    for _ in range(5):
        now[0] += 599
        assert made.remembered(headers) is not None
    now[0] += 600
    assert made.remembered(headers) is None
    assert len(compared) == 1


def _verified(made: HttpBasic, password: str, address: str) -> Any:
    return made.verified(dict(_lower(basic("member", password))), address)


def _lower(headers: Any) -> Any:
    return {name.lower(): value for name, value in headers.items()}


def test_a_file_that_htpasswd_of_apache_wrote_is_read(tmp_path: Path) -> None:
    """Its own line, made by `htpasswd -nbB -C 4 alice secret`."""
    passwords, projects = tmp_path / "htpasswd", tmp_path / "roles.yaml"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    passwords.write_text(f"alice:{hashed}\r\n")
    projects.write_text("alice:\n  project: demo\n  roles: [admin]\n")
    found = users.load(passwords, projects)
    assert bcrypt.checkpw(b"secret", found.hashes["alice"])
    assert found.identities["alice"].roles == {"admin", "manager", "member", "reader"}
    assert not bcrypt.checkpw(b"secret", found.decoy)


@pytest.mark.parametrize(
    ("passwords", "projects", "why"),
    [
        ("alice\n", "", "http_basic_auth_user_file = {0}, line 1: the password of alice is no bcrypt hash"),
        ("\nal ice:$2y$04$x\n", "", "line 2: expected USER:HASH"),
        ("alice:$apr1$abc$def\n", "", "line 1: the password of alice is no bcrypt hash; `htpasswd -B` makes one"),
        (f"alice:$2y$31${'a' * 53}\n", "", "line 1: bcrypt's cost is 31; from 4 to 16"),
        ("{alice}{alice}", "alice: {{project: a, roles: []}}", "line 2: alice stands in line 1, too"),
        ("", "\nbob: {{project: a, role: []}}", "http_basic_auth_roles_file = {1}, line 2: role is nothing of a user"),
        ("{alice}", "alice: demo", "line 1: expected alice: {{project: demo, roles: [member]}}"),
        ("{alice}", "alice:\n  project: a\n  role: [x]", "line 3: role is nothing of a user"),
        ("{alice}", "alice:\n  roles: [x]", "line 1: alice has no project"),
        ("{alice}", "alice:\n  project: a\n  roles: member", "line 3: roles are a list, such as [member]"),
        ("{alice}", "alice:\n  project: 'a b'\n  roles: []", "line 2: project: expected letters"),
        ("{alice}", "alice: {{project: a", "line 1: "),
        ("{alice}", "- alice", "line 1: expected lines such as alice:"),
    ],
)
def test_an_error_in_the_files_is_told_with_its_line(tmp_path: Path, passwords: str, projects: str, why: str) -> None:
    paths = tmp_path / "htpasswd", tmp_path / "roles.yaml"
    paths[0].write_text(passwords.format(alice=line("alice", "secret")))
    paths[1].write_text(projects.format())
    with pytest.raises(SettingInvalid) as refused:
        users.load(*paths)
    assert why.format(*paths) in str(refused.value)
    assert "$2y$" not in str(refused.value)
