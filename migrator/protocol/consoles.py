"""What agents tell of their guests' consoles: the bytes that were written since they told last."""

import base64
from typing import Annotated

from pydantic import AfterValidator, Field

from migrator.protocol.base import Key, MachineId, Message, Number

CONSOLE_BYTES = 100 * 1024  # of one instance's log, the newest: as many as Nova's libvirt driver shows
PIECE_BYTES = 48 * 1024
PIECES_BYTES = 7 * PIECE_BYTES  # of all pieces of one message
PIECES_MAX = 500


def _decodable(text: str) -> str:
    base64.b64decode(text, validate=True)  # its error is a ValueError
    return text


class ConsolePiece(Message):
    """Bytes ``start`` and following of one console's log. ``file`` tells two files of one name apart; ``size`` is that
    of the whole file. ``live``: after these were read the guest had a process here."""

    instance: Key
    file: Number
    start: Number
    size: Number
    live: bool
    text: Annotated[str, Field(max_length=PIECE_BYTES * 4 // 3), AfterValidator(_decodable)] = Field(repr=False)

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.text)


class Consoles(Message):
    """PUT /agent/v1/hosts/{name}/consoles."""

    machine: MachineId = ""
    pieces: Annotated[tuple[ConsolePiece, ...], Field(max_length=PIECES_MAX)]
