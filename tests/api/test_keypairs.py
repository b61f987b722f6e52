"""/os-keypairs over HTTP, as Nova answers, and the key that a server is made with."""

import base64
import struct
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, load_ssh_public_key
from sqlalchemy import select

from migrator.api import key_material
from migrator.db.tables import instances, key_pairs
from migrator.scheduler.requests.requests import Caller
from tests.api.harness import Answered, Api
from tests.api.seed import IMAGE

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEmmdI6jSwVuVtrEJjLpXrxUjIU4zdxWOEH7LHRsW0vW me@here"
ED25519 = {"name": "mine", "public_key": PUBLIC}
MEMBER = Caller("u1", "p1", "", is_admin=False)


def _ssh_parts(*parts: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(part)) + part for part in parts)).decode()


COMPRESSED = f"ecdsa-sha2-nistp256 {_ssh_parts(b'ecdsa-sha2-nistp256', b'nistp256', bytes((2, *range(32))))}"


def of_unknown_version() -> str:
    """A certificate that says that it is of version 2."""
    made = x509.load_pem_x509_certificate(key_material.generated(key_material.X509, "u").public_key.encode())
    octets = made.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    return f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(octets).decode()}\n-----END CERTIFICATE-----\n"


def create(api: Api, version: str = "2.96", **more: Any) -> Answered:
    return api("POST", "/os-keypairs", version, {"keypair": ED25519 | more})


def names(api: Api, query: str = "", version: str = "2.96") -> list[str]:
    return [pair["keypair"]["name"] for pair in api("GET", f"/os-keypairs{query}", version).json["keypairs"]]


@pytest.mark.parametrize(
    ("version", "created", "deleted", "typed"),
    [("2.1", 200, 202, {}), ("2.2", 201, 204, {"type": "ssh"}), ("2.104", 201, 204, {"type": "ssh"})],
)
def test_a_pair_is_imported_listed_shown_and_deleted_as_its_microversion_has_it(
    api: Api, version: str, created: int, deleted: int, typed: dict[str, str]
) -> None:
    made = create(api, version)
    fingerprint = made.json["keypair"]["fingerprint"]
    assert [len(part) for part in fingerprint.split(":")] == [2] * 16
    brief = {**ED25519, "fingerprint": fingerprint, **typed}
    assert (made.status, made.json) == (created, {"keypair": {**brief, "user_id": "admin"}})
    assert api("GET", "/os-keypairs", version).json == {"keypairs": [{"keypair": brief}]}
    shown = api("GET", "/os-keypairs/mine", version).json["keypair"]
    more = {"user_id": "admin", "updated_at": None, "deleted": False, "deleted_at": None}
    assert shown == {**brief, **more, "id": shown["id"], "created_at": shown["created_at"]}
    assert api("DELETE", "/os-keypairs/mine", version).status == deleted
    for method in ("GET", "DELETE"):
        gone = api(method, "/os-keypairs/mine", version)
        assert (gone.status, gone.message) == (404, "Keypair mine not found for user admin")


def test_a_generated_ssh_key_is_answered_once_and_stored_nowhere(api: Api) -> None:
    made = api("POST", "/os-keypairs", "2.91", {"keypair": {"name": "new"}}).json["keypair"]
    private = load_pem_private_key(made["private_key"].encode(), None)
    public = load_ssh_public_key(made["public_key"].encode())
    assert private.public_key() == public
    assert "private_key" not in api("GET", "/os-keypairs/new").json["keypair"]
    with api.db.read() as connection:
        (row,) = connection.execute(select(key_pairs)).all()
    assert "PRIVATE" not in str(row)


def test_a_generated_certificate_is_its_users(api: Api) -> None:
    made = api("POST", "/os-keypairs", "2.91", {"keypair": {"name": "win", "type": "x509"}}).json["keypair"]
    found = x509.load_pem_x509_certificate(made["public_key"].encode())
    assert found.subject.rfc4514_string() == "CN=admin"
    assert made["fingerprint"].count(":") == 19
    imported = create(api, name="again", type="x509", public_key=made["public_key"])
    assert imported.json["keypair"]["fingerprint"] == made["fingerprint"]


@pytest.mark.parametrize(
    ("version", "more", "text"),
    [
        ("2.1", {"name": "a@b"}, "name"),
        ("2.91", {"name": "a.b"}, "name"),
        ("2.92", {"name": "a/b"}, "name"),
        ("2.92", {"name": " a"}, "name"),
        ("2.92", {"name": ""}, "name"),
        ("2.92", {"name": "a" * 256}, "name"),
        ("2.1", {"type": "ssh"}, "type"),
        ("2.2", {"type": "pgp"}, "pgp"),
        ("2.9", {"user_id": "u"}, "user_id"),
        ("2.92", {"public_key": None}, "public_key"),
        ("2.92", {"public_key": ""}, "Keypair data is invalid: failed to generate fingerprint"),
        ("2.92", {"public_key": "ssh-rsa bad"}, "Keypair data is invalid: failed to generate fingerprint"),
        ("2.92", {"public_key": "ssh-rsa"}, "Keypair data is invalid: failed to generate fingerprint"),
        ("2.92", {"public_key": "\N{SNOWMAN}"}, "Keypair data is invalid: failed to generate fingerprint"),
        ("2.92", {"public_key": COMPRESSED}, "Keypair data is invalid: failed to generate fingerprint"),
        ("2.92", {"type": "x509"}, "Keypair data is invalid: failed to generate X509 fingerprint."),
        (
            "2.92",
            {"type": "x509", "public_key": of_unknown_version()},
            "Keypair data is invalid: failed to generate X509 fingerprint.",
        ),
    ],
)
def test_a_pair_that_cannot_be_is_refused_by_field(api: Api, version: str, more: dict[str, Any], text: str) -> None:
    answer = create(api, version, **more)
    assert (answer.status, text in answer.message) == (400, True), answer.message
    assert names(api) == []


def test_from_2_92_a_key_is_only_imported_and_names_have_more_characters(api: Api) -> None:
    refused = api("POST", "/os-keypairs", "2.92", {"keypair": {"name": "new"}})
    assert (refused.status, "'public_key' is a required property" in refused.message) == (400, True)
    assert create(api, name="me@here.org").status == 201


def test_a_name_is_taken_once(api: Api) -> None:
    assert create(api).status == 201
    again = create(api)
    assert (again.status, again.message) == (409, "Key pair 'mine' already exists.")


def test_no_key_is_made_for_a_pair_that_cannot_be_stored(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    create(api)
    monkeypatch.setattr(key_material, "generated", lambda *_: pytest.fail("a key was made"))
    taken = api("POST", "/os-keypairs", "2.91", {"keypair": {"name": "mine"}})
    assert (taken.status, taken.message) == (409, "Key pair 'mine' already exists.")
    api("PUT", "/os-quota-sets/admin", body={"quota_set": {"key_pairs": 1}})
    over = api("POST", "/os-keypairs", "2.91", {"keypair": {"name": "other"}})
    assert (over.status, over.message) == (403, "Quota exceeded, too many key pairs.")


def test_blanks_between_the_parts_of_a_key_change_no_fingerprint(api: Api) -> None:
    made = create(api, public_key=PUBLIC.replace(" ", "  ", 1)).json["keypair"]["fingerprint"]
    assert made == create(api, name="other").json["keypair"]["fingerprint"]


def test_pages_are_by_name_from_2_35(api: Api) -> None:
    for name in "cab":
        create(api, name=name)
    first = api("GET", "/os-keypairs?limit=2").json
    assert [pair["keypair"]["name"] for pair in first["keypairs"]] == ["a", "b"]
    assert first["keypairs_links"][0]["href"].endswith("/os-keypairs?limit=2&marker=b")
    assert names(api, "?limit=2&marker=b") == ["c"]
    assert names(api, "?limit=2&marker=b", "2.34") == ["a", "b", "c"]
    lost = api("GET", "/os-keypairs?marker=nosuch")
    assert (lost.status, lost.message) == (400, "Marker nosuch could not be found.")


def test_pairs_are_their_users_in_their_project(api: Api) -> None:
    create(api)
    for caller in (Caller("admin", "other", ""), Caller("u1", "admin", "", is_admin=False)):
        api.web.caller = caller
        assert names(api) == []
        assert api("GET", "/os-keypairs/mine").status == 404
        assert api("DELETE", "/os-keypairs/mine").status == 404
        assert create(api).status == 201


def test_from_2_10_an_administrator_names_another_user_of_the_project(api: Api) -> None:
    assert create(api, "2.10", user_id="u1").json["keypair"]["user_id"] == "u1"
    assert names(api, "?user_id=u1", "2.9") == []
    assert names(api, "?user_id=u1", "2.10") == ["mine"]
    assert api("GET", "/os-keypairs/mine?user_id=u1").json["keypair"]["user_id"] == "u1"
    api.web.caller = Caller("u1", "admin", "", is_admin=False)
    assert names(api) == ["mine"]
    for method, path in (("GET", ""), ("GET", "/mine"), ("DELETE", "/mine")):
        assert api(method, f"/os-keypairs{path}?user_id=admin").status == 403
    assert create(api, user_id="admin").status == 403
    api.web.caller = Caller("admin", "admin", "")
    assert api("DELETE", "/os-keypairs/mine?user_id=u1").status == 204


def test_a_server_keeps_the_key_that_it_is_made_with(api: Api) -> None:
    create(api)
    server = {"name": "a", "flavorRef": "1", "imageRef": IMAGE, "networks": "none", "key_name": "mine"}
    uuid = api("POST", "/servers", body={"server": server}).json["server"]["id"]
    assert api("DELETE", "/os-keypairs/mine").status == 204
    assert api("GET", f"/servers/{uuid}").json["server"]["key_name"] == "mine"
    with api.db.read() as connection:
        assert connection.execute(select(instances.c.key_data)).scalar_one() == PUBLIC


def test_a_server_is_made_with_no_other_users_key(api: Api) -> None:
    create(api)
    api.web.caller = MEMBER
    server = {"name": "a", "flavorRef": "1", "imageRef": IMAGE, "networks": "none", "key_name": "mine"}
    refused = api("POST", "/servers", body={"server": server})
    assert (refused.status, refused.message) == (400, "Invalid key_name provided.")


@pytest.mark.parametrize("user", ["u" * 255, "", "\N{SNOWMAN}" * 80], ids=["long", "empty", "wide"])
def test_a_certificate_is_made_for_every_users_name(user: str) -> None:
    made = key_material.generated(key_material.X509, user)
    assert key_material.imported(made.public_key, key_material.X509).fingerprint == made.fingerprint
