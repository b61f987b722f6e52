"""Planted bugs in what is refused by a request's head: doors, hosts, origins, credentials, sizes."""

from tests.mutation.mutant import Mutant

DOORS = "migrator/api/gate/listener_guard.py"
GATE = "migrator/api/gate/request_gate.py"
BODY = "migrator/api/gate/request_body.py"
ORIGIN = "migrator/api/request_origin.py"

MUTANTS = (
    Mutant(
        "two doors of one port are one",
        DOORS,
        "not (port == self._port and (not self._one_port or host == self._host))",
        "port != self._port",
    ),
    Mutant(
        "an address of the agents' wildcard door is the API's",
        DOORS,
        "return self._two_doors and not (port == self._port and (not self._one_port or host == self._host))",
        'return self._two_doors and port != self._port and host != ""',
    ),
    Mutant(
        "the agents' door serves everything",
        GATE,
        "if of_agents and self._surface_of(scope) is not Surface.AGENT:",
        "if False:",
    ),
    Mutant(
        "one agent speaks for another",
        GATE,
        '            _check_owner(scope.get("path_params", {}).get("name", holder), holder)\n',
        "",
    ),
    Mutant(
        "a body is read before its sender is known",
        GATE,
        "        elif access is not ANYBODY:\n",
        "        elif False:\n",
    ),
    Mutant(
        "agents' door takes any name though names are set",
        GATE,
        "any_host=of_agents and not self._gate.allowed)",
        "any_host=of_agents)",
    ),
    Mutant(
        "pages of other origins are served",
        GATE,
        '        request_origin.check_origin(scope["headers"], scope["scheme"])\n',
        "",
    ),
    Mutant(
        "each part of a body has the whole limit",
        BODY,
        'self._size += len(message.get("body", b""))',
        'self._size = len(message.get("body", b""))',
    ),
    Mutant(
        "an announced length is believed to be small",
        BODY,
        "        if announced:\n            self._check",
        "        if False:\n            self._check",
    ),
    Mutant(
        "the image's limit is every agent's",
        GATE,
        "return Expected(JSON_TYPES, route.largest)",
        "return Expected(JSON_TYPES, self._services.settings.image_size_cap)",
    ),
    Mutant(
        "a stranger's address is ours", ORIGIN, "(_is_address(name) and name == server.lower())", "_is_address(name)"
    ),
    Mutant(
        "a site of the same domain is ours",
        ORIGIN,
        'frozenset({"same-origin", "none"})',
        'frozenset({"same-origin", "same-site", "none"})',
    ),
    Mutant(
        "an origin of another scheme is ours",
        ORIGIN,
        "_with_port(where, of) != _with_port(host.lower(), scheme)",
        "where != host.lower()",
    ),
    Mutant(
        "a host's large messages are not counted",
        "migrator/api/process/body_budget.py",
        "        if self.taken[host] + size > self._of_host:",
        "        if False:",
    ),
    Mutant(
        "a message in parts takes no room",
        BODY,
        "        if size > SMALL_BYTES and not self._taken:",
        "        if self._announced > SMALL_BYTES and not self._taken:",
    ),
    Mutant(
        "one host's requests are worked on all at once",
        "migrator/api/process/admission.py",
        "        async with turn.lock:",
        "        if True:",
    ),
    Mutant(
        "surveys take the polls' threads",
        "migrator/api/process/admission.py",
        'Kind.SURVEY: Share("looks", 2, 9.0)',
        'Kind.SURVEY: Share("polls", 2, 9.0)',
    ),
    Mutant(
        "a credential that was removed works while it is remembered",
        "migrator/api/process/credential_lookup.py",
        "        self._changed = self._clock()",
        "        pass",
    ),
    Mutant(
        "each stranger has a look at the database of its own",
        "migrator/api/process/credential_lookup.py",
        "                if self._began < max(not_before, self._changed):",
        "                if True:",
    ),
    Mutant(
        "strangers are refused at once, however many",
        "migrator/api/gate/refusal_pace.py",
        "        return left >= 1",
        "        return True",
    ),
)
