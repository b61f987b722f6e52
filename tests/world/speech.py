"""What server and agents say to each other, as the other side hears it: all of it, where both know the same words."""

from migrator.protocol import Assignments, Facts


class Speech:
    """Both sides are of one release."""

    def answer(self, said: Assignments) -> Assignments:
        return said

    def facts(self, said: Facts) -> Facts:
        return said


class OlderAgents(Speech):
    """Agents that know none of the assignments that this server gives."""

    def answer(self, said: Assignments) -> Assignments:
        strange = [a.model_dump(mode="json") | {"ensure": f"{a.ensure}-anew"} for a in said.assignments]
        digest = f"strange-{said.digest}"
        return Assignments.model_validate(said.model_dump(mode="json") | {"assignments": strange, "digest": digest})


class OlderServer(Speech):
    """A server that does not know how these agents describe a problem, and thus cannot read their facts."""

    def facts(self, said: Facts) -> Facts:
        strange = [fact.model_dump(mode="json") | {"problem": "new"} for fact in said.facts]
        return Facts.model_validate({**said.model_dump(mode="json"), "facts": strange})
