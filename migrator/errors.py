"""The one tree of errors: what went wrong, under a stable code, with what to do about it.

Owns every exception that crosses a module's border. Never maps to HTTP (``api/faults.py`` does that, once)
and never formats a traceback.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class MigratorError(Exception):
    """Base of the tree. ``code`` is stable and documented; ``message`` is for people. ``without_hosts``: what callers
    read in its place who may not know of hosts, for a message that names one; the same where it names none."""

    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        details: Mapping[str, Any] | None = None,
        without_hosts: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.without_hosts = message if without_hosts is None else without_hosts
        self.advice = advice
        self.details = dict(details or {})

    @property
    def sentence(self) -> str:
        """The message with its advice, for a log or a terminal."""
        return f"{self} ({self.advice})" if self.advice else str(self)


class BadRequest(MigratorError):
    """The request itself is wrong; sending it again unchanged cannot succeed."""

    code = "bad_request"


class SettingInvalid(BadRequest):
    """A configuration value stops the start: names the setting, the value and what is allowed."""

    code = "setting_invalid"


class NotFound(MigratorError):
    """The thing named does not exist, or the caller may not see it."""

    code = "not_found"


class InstanceNotFound(NotFound):
    code = "instance_not_found"


class HostNotFound(NotFound):
    code = "host_not_found"


class FlavorNotFound(NotFound):
    code = "flavor_not_found"


class ImageNotFound(NotFound):
    code = "image_not_found"


class ServerGroupNotFound(NotFound):
    code = "server_group_not_found"


class KeyPairNotFound(NotFound):
    code = "key_pair_not_found"


class VolumeNotFound(NotFound):
    code = "volume_not_found"


class NetworkNotFound(NotFound):
    code = "network_not_found"


class OperationNotFound(NotFound):
    code = "operation_not_found"


class DrainNotFound(NotFound):
    code = "drain_not_found"


class Conflict(MigratorError):
    """The request is well formed but the thing is in the wrong state for it."""

    code = "conflict"


class InstanceBusy(Conflict):
    """Another operation is active on the instance (one at a time, held by a partial unique index)."""

    code = "instance_busy"


class OtherMachine(Conflict):
    """The host is another machine than the one whose agent speaks: nothing that it says counts."""

    code = "other_machine"


class NameTaken(OtherMachine):
    """That other machine is heard."""

    code = "name_taken"


class MachineNotApproved(OtherMachine):
    """That other machine is silent, and an operator has to say that it is gone."""

    code = "machine_not_approved"


class ProtocolUnsupported(Conflict):
    """Server and agent are too many releases apart. The side that raises this has heard the other one."""

    code = "protocol_unsupported"


class AlreadyExists(Conflict):
    code = "already_exists"


class AddressesUsedUp(Conflict):
    """Every address of a network's ranges belongs to a port."""

    code = "addresses_used_up"


class IncarnationSuperseded(Conflict):
    """A host's agent registers as older than one that was heard: its journal is an older copy, or another agent took
    its place."""

    code = "incarnation_superseded"

    @property
    def known(self) -> int:
        """The newest incarnation that was heard."""
        return int(self.details.get("known", 0))


class Forbidden(MigratorError):
    code = "forbidden"


class QuotaExceeded(Forbidden):
    """The project, or the user, has as many as it may."""

    code = "quota_exceeded"


class Unauthorized(MigratorError):
    code = "unauthorized"


class Gone(NotFound):
    """Nova had it once, and no release that is supported has it; answered with 410."""


class ActionNotImplemented(MigratorError):
    """Part of the API that this server does not provide; answered with 501."""

    code = "not_offered"


class KeyMissing(MigratorError):
    """The database lacks a key that it was made with."""

    code = "key_missing"


class ConcurrentUpdate(MigratorError):
    """A compare-and-swap found that another writer was faster; load again and decide again."""

    code = "stale_row"


class DriverError(MigratorError):
    """The hypervisor refused or failed; ``message`` is its own words."""

    code = "hypervisor_error"


class HypervisorUnavailable(DriverError):
    """libvirtd (or its stand-in) cannot be reached; what runs there is unknown. Try again later."""

    code = "hypervisor_unavailable"


class DomainNotFound(DriverError):
    code = "domain_not_found"


class StorageError(DriverError):
    """A disk or its directory could not be made, read or removed (full, missing, not writable)."""

    code = "storage_error"


class DiskBeingRead(StorageError):
    """Whether a disk is whole is not known yet, for its tables are many. Trying again helps: the reading goes on."""

    code = "disk_being_read"


class UnsafeDisk(StorageError):
    """A disk of the instance names a file that is not its own, or is none: a guest would read it. Nothing starts."""

    code = "unsafe_disk"


class UnsafeDomain(DriverError):
    """A domain's description that came from another host has what migrator never writes: it is not run."""

    code = "unsafe_domain"


class ImageUnavailable(DriverError):
    """The image's bytes could not be fetched, or their checksum did not match."""

    code = "image_unavailable"


class ServerUnreachable(MigratorError):
    """The agent or the CLI cannot reach the server. ``retry_after_s``: what it asked for before the next attempt."""

    code = "server_unreachable"

    def __init__(self, message: str, *, advice: str | None = None, retry_after_s: float = 0.0) -> None:
        super().__init__(message, advice=advice)
        self.retry_after_s = retry_after_s


class ServerDistrusted(ServerUnreachable):
    """What answers is not proven to be the server: the agent says nothing to it, its credential least of all."""

    code = "server_distrusted"


class Unavailable(MigratorError):
    """The server cannot do it now for any client; asking again after ``retry_after_s`` seconds may succeed."""

    code = "unavailable"

    def __init__(self, message: str, *, advice: str | None = None, retry_after_s: float = 5.0) -> None:
        super().__init__(message, advice=advice)
        self.retry_after_s = retry_after_s


class DatabaseUnavailable(Unavailable):
    """``cause`` (which database, and the driver's words) names hosts, users and paths: it is part of the text of the
    error, for the log and for the terminal of an operator who starts a process, and not of ``message``."""

    code = "database_unavailable"

    def __init__(self, message: str, *, cause: str = "", advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self._cause = cause

    def __str__(self) -> str:
        return self._cause or self.message


class DatabaseNewer(MigratorError):
    """A newer release has brought the database to a revision that this one does not have: it does not start."""

    code = "database_newer"


class ServerBusy(Unavailable):
    code = "server_busy"


class TooManyRequests(Unavailable):
    """Of this one sender: others are still served."""

    code = "too_many_requests"


class LibraryMissing(MigratorError):
    """A library that this role needs is not installed; ``advice`` says how to install it."""

    code = "library_missing"


class LabError(MigratorError):
    """The lab's hosts could not be made, reached or removed; ``message`` names the command or the wait that failed."""

    code = "lab_error"
