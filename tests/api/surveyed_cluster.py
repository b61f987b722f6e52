"""Simulated hosts whose real surveyors look around and tell the server over HTTP."""

from pathlib import Path
from typing import Any

from sqlalchemy import select

from migrator.compute.agent.survey import Surveyor
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db import credentials
from migrator.db.tables import instances
from migrator.protocol import InstanceSpec, Questions
from tests.api import seed
from tests.api.harness import Web

NAMES = ("compute1", "compute2", "compute3")


class Cluster:
    """Three hosts; an instance runs on the first. ``survey`` lets every agent look once."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.now = 1000.0
        self.simulation = SimulatedCluster(lambda: self.now)
        self.tokens: dict[str, str] = {}
        self.surveyors: dict[str, Surveyor] = {}
        for name in NAMES:
            self.simulation.add_host(name)
            self.register(name)
            self.surveyors[name] = Surveyor(SimulatedHypervisor(name, self.simulation), clock=lambda: self.now)

    def register(self, name: str) -> None:
        if name not in self.tokens:
            self.tokens[name] = credentials.issue(self.web.db, name)
        report = SimulatedHypervisor(name, self.simulation).host_report().model_dump(mode="json")
        body = {"incarnation": 1, "report": report}
        assert self.agent("PUT", name, "", json=body).status_code == 204

    def agent(self, method: str, name: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json"}
        return self.web(method, f"/agent/v1/hosts/{name}{path}", None, headers=headers, **more)

    def boot(self, name: str = "web") -> str:
        uuid = seed.instance(self.web.db, name)
        with self.web.db.read() as connection:
            row = connection.execute(select(instances.c.spec).where(instances.c.uuid == uuid)).scalar_one()
        driver, spec = SimulatedHypervisor("compute1", self.simulation), InstanceSpec.model_validate(row)
        driver.make_disks(spec, {seed.IMAGE: Path("image")})
        driver.define_and_start(spec, "o", 1)
        return uuid

    def survey(self, *names: str, offset_s: float = 0.0) -> None:
        """Twice: what one agent tells is what the next is asked."""
        for name in [*(names or NAMES)] * 2:
            questions = Questions.model_validate(self.agent("GET", name, "/questions").json())
            found = self.surveyors[name].survey(questions, offset_s, 0.01)
            answer = self.agent("PUT", name, "/survey", content=found.model_dump_json())
            assert answer.status_code == 204, answer.text

    def preflight(self, **query: Any) -> Any:
        answer = self.web("GET", "/v1/preflight", None, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def of(self, uuid: str, host: str = "compute2") -> dict[str, Any]:
        """Code -> check, of one destination."""
        (found,) = self.preflight(server=uuid)["preflight"]
        (judged,) = [judged for judged in found["hosts"] if judged["host"] == host]
        return {check["code"]: check for check in judged["checks"]}
