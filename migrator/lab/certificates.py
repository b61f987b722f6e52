"""A lab's certificate authority, and the certificates that it gives to hosts.

Owns the files by their names as libvirt and QEMU want them. Never used outside a lab: an operator of real hosts has an
authority already.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from migrator.lab.process import run

# Inside a host. Not in /etc/pki, which the machine itself may not have: libvirt is told by its configuration and URI.
PKI = Path("/etc/libvirt/pki")
QEMU_PKI = PKI / "qemu"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_EXTENSIONS = """basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:{name},IP:{address}
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """``directory`` holds its key and certificate, and drafts of what it signs."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca-cert.pem"

    @property
    def _key(self) -> Path:
        return self.directory / "ca-key.pem"

    def make(self) -> None:
        """Raises LabError, as everything here does when openssl fails."""
        self.directory.mkdir(parents=True)
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        files = ("-keyout", str(self._key), "-out", str(self.certificate))
        run("openssl", "req", "-x509", *_KEY, *files, "-subj", "/CN=migrator lab", "-days", "365", *usage)

    def certify(self, name: str, address: str, days: int = 365) -> tuple[Path, Path]:
        """(certificate, key) of a server and client, made anew. -1 ``days``: it expired yesterday."""
        key, certificate = self.directory / f"{name}-key.pem", self.directory / f"{name}-cert.pem"
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        extensions.write_text(_EXTENSIONS.format(name=name, address=address))
        run("openssl", "req", "-new", *_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        signing = ("-CA", str(self.certificate), "-CAkey", str(self._key), "-days", str(days))
        files = ("-in", str(request), "-out", str(certificate), "-extfile", str(extensions))
        run("openssl", "x509", "-req", *signing, *files)
        return certificate, key


def install_libvirt(pki: Path, authority: Authority, pair: tuple[Path, Path]) -> None:
    """What a libvirtd shows, and what its clients on the host show. ``pki``: ``PKI`` as seen from outside."""
    _install(pki, authority.certificate, pair, "cacert.pem", ("server{}.pem", "client{}.pem"))


def install_qemu(pki: Path, authority: Authority, pair: tuple[Path, Path]) -> None:
    """What QEMU shows. ``pki``: ``QEMU_PKI`` as seen from outside."""
    _install(pki, authority.certificate, pair, "ca-cert.pem", ("server-{}.pem", "client-{}.pem"))


def _install(pki: Path, authority: Path, pair: tuple[Path, Path], ca: str, names: tuple[str, ...]) -> None:
    pki.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(authority, pki / ca)
    for file, part in zip(pair, ("cert", "key"), strict=True):
        for name in names:
            shutil.copyfile(file, pki / name.format(part))
            (pki / name.format(part)).chmod(0o600)
