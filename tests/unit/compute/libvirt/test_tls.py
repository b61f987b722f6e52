"""What an agent says of QEMU's certificates: real ones, made here and tried on each other."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.compute.libvirt import tls
from migrator.lab.certificates import Authority, install_qemu
from migrator.protocol import TlsReport

ADDRESS = "10.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca") / "one")
    made.make()
    return made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca") / "two")
    made.make()
    return made


@pytest.fixture
def look(tmp_path: Path, authority: Authority) -> Callable[..., TlsReport]:
    """Installs a certificate and reports, after ``spoil`` did something to the directory."""

    def looking(
        address: str = ADDRESS, days: int = 9, spoil: Callable[[Path], object] = lambda _: None, conf: str = ""
    ) -> TlsReport:
        install_qemu(tmp_path / "qemu", authority, authority.certify("n1", ADDRESS, days))
        spoil(tmp_path / "qemu")
        (tmp_path / "qemu.conf").write_text(conf)
        return tls.report(address, tmp_path / "qemu.conf", tmp_path)

    return looking


def test_good_ones_are_told_with_their_authority_and_their_days(look: Callable[..., TlsReport]) -> None:
    found = look()
    assert found.message == ""
    assert len(found.issuers) == 1
    assert found.issuers == found.trusted
    assert found.not_before <= time.time() + 1
    assert found.not_after == pytest.approx(time.time() + 9 * 86400, abs=60)


def test_an_expired_one_is_told_with_the_day_and_judged_by_nobody_here(look: Callable[..., TlsReport]) -> None:
    found = look(days=-1)
    assert found.message == ""
    assert found.not_after == pytest.approx(time.time() - 86400, abs=60)


def test_a_certificate_holds_no_longer_than_the_authority_that_signed_it(look: Callable[..., TlsReport]) -> None:
    assert look(days=800).not_after == pytest.approx(time.time() + 365 * 86400, abs=600)


def test_a_certificate_for_another_address_is_named(look: Callable[..., TlsReport]) -> None:
    assert "not valid for '10.0.0.2'" in look(address="10.0.0.2").message
    assert look(address="n1").message == ""


def test_what_is_missing_is_named(look: Callable[..., TlsReport]) -> None:
    message = look(spoil=lambda pki: (pki / "client-cert.pem").unlink()).message
    assert message.endswith("/qemu has no client-cert.pem")


def test_a_host_that_verifies_nobody_needs_no_client_certificate(look: Callable[..., TlsReport]) -> None:
    def spoil(pki: Path) -> None:
        (pki / "client-cert.pem").unlink()

    assert look(spoil=spoil, conf="default_tls_x509_verify = 0\n").message == ""
    assert look(spoil=spoil, conf="#default_tls_x509_verify = 0\n").message


def test_a_key_that_is_another_ones_or_no_key(look: Callable[..., TlsReport], other: Authority) -> None:
    def swap(pki: Path) -> None:
        (pki / "server-key.pem").write_bytes(other.certify("n1", ADDRESS)[1].read_bytes())

    assert "mismatch" in look(spoil=swap).message
    assert look(spoil=lambda pki: (pki / "server-key.pem").write_text("nonsense")).message
    assert look(spoil=lambda pki: (pki / "ca-cert.pem").write_text("nonsense")).message


def test_certificates_of_an_unknown_authority(look: Callable[..., TlsReport], other: Authority) -> None:
    def swap(pki: Path) -> None:
        (pki / "ca-cert.pem").write_bytes(other.certificate.read_bytes())

    assert "issuer" in look(spoil=swap).message


def test_while_an_authority_is_replaced_two_are_trusted_and_one_has_signed(
    look: Callable[..., TlsReport], other: Authority
) -> None:
    def add(pki: Path) -> None:
        with (pki / "ca-cert.pem").open("ab") as file:
            file.write(other.certificate.read_bytes())

    alone, found = look(), look(spoil=add)
    assert found.message == ""
    assert found.issuers == alone.issuers
    assert len(found.trusted) == 2
    assert set(alone.trusted) < set(found.trusted)


def test_qemu_conf_says_where_they_lie(tmp_path: Path) -> None:
    conf = tmp_path / "qemu.conf"
    assert tls.setup(conf, tmp_path).directory == tmp_path / "qemu"
    (tmp_path / "libvirt-migrate").mkdir()
    assert tls.setup(conf, tmp_path).directory == tmp_path / "libvirt-migrate"
    conf.write_text('default_tls_x509_cert_dir = "/a"  # for all\n # migrate_tls_x509_cert_dir = "/c"\n')
    (tmp_path / "libvirt-migrate").rmdir()
    assert tls.setup(conf, tmp_path) == tls.Setup(Path("/a"), True)
    conf.write_text('default_tls_x509_cert_dir = "/a"\nmigrate_tls_x509_cert_dir="/b"\nmigrate_tls_x509_verify = 0\n')
    assert tls.setup(conf, tmp_path) == tls.Setup(Path("/b"), False)


def test_a_directory_in_place_of_qemu_conf_is_no_crash(tmp_path: Path) -> None:
    assert tls.report(ADDRESS, tmp_path, tmp_path).message
