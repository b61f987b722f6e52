"""What every handler may use; built once a process by ``app.py`` and by tests."""

from dataclasses import dataclass, field

from migrator.api.identity.policy import Policy
from migrator.api.process.admission import Admission
from migrator.api.process.body_budget import BodyBudget
from migrator.api.process.credential_lookup import CredentialLookup
from migrator.api.process.event_feed import EventFeed
from migrator.api.process.poll_groups import PollGroups
from migrator.api.process.refusal_log import Refusals
from migrator.api.process.registration_groups import RegistrationGroups
from migrator.api.process.wakeups import HostNotifier
from migrator.db.engine import Database
from migrator.reloaded import Reloaded
from migrator.scheduler.fleet.runner import DrainRunner
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.state.questions import SurveyQuestions
from migrator.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Services:
    db: Database
    settings: ServerSettings
    reconciler: Reconciler
    drains: DrainRunner
    notifier: HostNotifier
    admission: Admission
    polls: PollGroups
    registrations: RegistrationGroups
    questions: SurveyQuestions
    credentials: CredentialLookup
    rules: Reloaded[Policy]
    events: EventFeed
    bodies: BodyBudget = field(default_factory=BodyBudget)
    refusals: Refusals = field(default_factory=Refusals)


def build(settings: ServerSettings, rules: Reloaded[Policy]) -> Services:
    db = Database(settings.database)
    notifier = HostNotifier()
    reconciler, admission = Reconciler(db, settings, notifier.wake), Admission()
    polls, registrations = PollGroups(db, admission, notifier), RegistrationGroups(db, admission, settings)
    runner = DrainRunner(db, settings, reconciler)
    questions, holders = SurveyQuestions(db, settings), CredentialLookup(db)
    known = (polls, registrations, questions, holders, rules)
    return Services(db, settings, reconciler, runner, notifier, admission, *known, EventFeed(db))
