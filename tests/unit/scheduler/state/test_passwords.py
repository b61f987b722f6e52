"""A password's encrypted form: it comes back whole, says nothing, and is not read with another key."""

import base64

import pytest

from migrator.scheduler.state import passwords

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.mark.parametrize("password", ["", "a", "MySecret1", "pässwörd \N{SNOWMAN}", "x" * 1000])
def test_a_password_comes_back_and_no_two_forms_are_equal(password: str) -> None:
    first, second = passwords.encrypted(KEY, password), passwords.encrypted(KEY, password)
    assert passwords.decrypted(KEY, first) == passwords.decrypted(KEY, second) == password
    assert first != second
    assert passwords.decrypted(OTHER, first) is None


def test_a_changed_form_is_no_password() -> None:
    kept = passwords.encrypted(KEY, "MySecret1")
    assert kept is not None
    whole = base64.urlsafe_b64decode(kept["encrypted"])
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        assert passwords.decrypted(KEY, {"encrypted": base64.urlsafe_b64encode(changed).decode()}) is None


def test_what_an_earlier_release_kept_is_read_as_it_is() -> None:
    assert passwords.decrypted(KEY, "MySecret1") == "MySecret1"
    assert passwords.decrypted(KEY, None) is None
    assert passwords.encrypted(KEY, None) is None
