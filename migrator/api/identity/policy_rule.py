"""What a rule of the policy is, and who passes those of the tables by default."""

from dataclasses import dataclass

ADMIN = "rule:context_is_admin"
MANAGER = "rule:project_manager_or_admin"
MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
ANY = "@"
OWN = "(rule:context_is_admin) or user_id:%(user_id)s"


@dataclass(frozen=True, slots=True)
class Rule:
    """``operations``: the rows of the table of URLs that ask for it before they are served, an action in brackets.
    ``within``: asked for by handlers, for a part of what they do."""

    name: str
    default: str
    about: str
    operations: tuple[str, ...] = ()
    within: bool = False

    @property
    def system(self) -> bool:
        """Whether it is a rule about the whole system, which a token for the system passes as well as one for a
        project."""
        return self.name.startswith("migrator:")


def ours(name: str, default: str, about: str, *operations: str) -> Rule:
    return Rule(f"migrator:{name}", default, about, operations, not operations)
