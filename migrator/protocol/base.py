"""Numbers and words as both databases and JSON keep them, and what every message is made from."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from migrator.protocol import bounds
from migrator.untrusted import peer_address

# What the server keeps in columns of its own fits them on both databases.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Big = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Incarnation = Annotated[int, Field(ge=0, le=2**40)]  # a new journal begins at the time of day, in s
Sequence = Annotated[int, Field(ge=0, le=2**48)]
# Words of a hypervisor: cleaned and cut, but not refused, or a fact would never arrive.
Text = Annotated[str, BeforeValidator(bounds.cleaned)]
Xml = Annotated[str, Field(max_length=2**17)]  # of a CPU; libvirt's longest is some 10 KiB
Key = Annotated[str, Field(max_length=36)]
MAX_SEAL = 400  # characters: version, HMAC-SHA256 in hexadecimal, the name of a host
Seal = Annotated[str, Field(max_length=MAX_SEAL)]
Word = Annotated[str, Field(max_length=128)]  # a name that a hypervisor has for something, or a fingerprint
HostName = Annotated[str, Field(max_length=255)]
SourceName = Annotated[str, Field(max_length=512)]  # of a volume
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MachineId = Annotated[str, Field(pattern=rf"^({_UUID})?$")]
BootId = Annotated[str, Field(pattern=rf"^({_UUID})?$")]
# What a host wrote into a pool, for another one to find there: its name and a UUID. Never a path to anywhere else.
Proof = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,254}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"
    ),
]
PeerHost = Annotated[str, AfterValidator(peer_address.checked_host)]
PeerUri = Annotated[str, AfterValidator(peer_address.checked_uri)]
PhaseName = Annotated[str, Field(max_length=32)]
Seconds = Annotated[float, Field(ge=-1e10, le=1e10)]
Age = Annotated[float, Field(ge=0, le=1e10)]  # s since it was looked at, when it is sent
Moment = Annotated[float, Field(ge=0, le=1e11)]  # s since the epoch
Amount = Annotated[float, Field(ge=0)]
Cpus = Annotated[float, Field(ge=0, le=1e5)]  # processors that are busy


class Message(BaseModel):
    """Immutable. Every number is finite, every text is one that databases keep, and nothing is longer than ``bounds``
    allows. Fields that this version does not know are ignored, so that hosts and servers are upgraded one after
    another. A field that does harm where it is ignored is therefore no field but a new ``Ensure``, which an older agent
    refuses by name. In our own calls a misspelt field is an error of the type checker.
    An alias is the name that is spoken and stored, where that differs from the field's."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        limited: CoreSchema = bounds.bound(handler(source))
        return limited
