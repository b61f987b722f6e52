"""Numbers and words as both databases and JSON keep them, and what every message is made from."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What the server keeps in columns of its own fits them on both databases.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Big = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]  # what JSON keeps: libvirt's unsigned counters too
# Words of a hypervisor: cleaned and not refused, or a fact would never arrive.
Text = Annotated[str, AfterValidator(lambda words: words.replace("\x00", ""))]
Key = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=36)]
MAX_SEAL = 400  # characters: version, HMAC-SHA256 in hexadecimal, the name of a host
Seal = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=MAX_SEAL)]
HostName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=255)]
SourceName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=512)]  # of a volume
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MachineId = Annotated[str, Field(pattern=rf"^({_UUID})?$")]
# What a host wrote into a pool, for another one to find there: its name and a UUID. Never a path to anywhere else.
Proof = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,254}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"
    ),
]
PhaseName = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=32)]
Age = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # s since it was looked at, when it is sent
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Message(BaseModel):
    """Immutable. Fields that this version does not know are ignored, so that hosts and servers are upgraded one after
    another. A field that does harm where it is ignored is therefore no field but a new ``Ensure``, which an older agent
    refuses by name. In our own calls a misspelt field is an error of the type checker."""

    model_config = ConfigDict(frozen=True, extra="ignore")
