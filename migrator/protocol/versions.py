"""The number of the agent protocol: both sides say it, and refuse what they no longer understand.

Owns the number, how old the other side may be, and what is then said. Pure. Fields that the other side does not know
are ignored (``Message``), so most changes need no new number. One that the other side must understand raises
``PROTOCOL``; dropping what it replaced raises an ``OLDEST``. The newer side knows what it dropped, so each side refuses
only numbers below its own limit: to a higher one it speaks as to its own, and the newer side refuses it, if need be.

1: no agent says it. 2: agents say the number in their description, and repeat unchanged facts. 3: agents say it in each
poll, and the server in each answer.
"""

from migrator.errors import ProtocolUnsupported

PROTOCOL = 3
OLDEST_AGENT = 1  # that a server understands
OLDEST_SERVER = 1  # that an agent understands
UNSAID = 1  # what one speaks that says no number


def check_agent(host: str, said: int) -> None:
    """In the server. Raises ProtocolUnsupported."""
    if said < OLDEST_AGENT:
        raise ProtocolUnsupported(
            f"The agent of {host} speaks protocol {said}; this server understands {OLDEST_AGENT} and newer.",
            advice=f"upgrade migrator on {host}; its guests run on, and nothing is begun there",
        )


def check_server(said: int) -> None:
    """In the agent. Raises ProtocolUnsupported."""
    if said < OLDEST_SERVER:
        raise ProtocolUnsupported(
            f"The server speaks protocol {said}; this agent understands {OLDEST_SERVER} and newer.",
            advice="upgrade migrator on the server; guests run on, and nothing is begun here",
        )
