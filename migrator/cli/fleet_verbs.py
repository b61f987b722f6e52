"""The subcommands about whole hosts: see ``verbs.py``."""

import argparse
from typing import Any

from migrator.cli.verb import add_verb

_DISCARD = "as if disks that only a lost host has might be made anew"


def add(subparsers: Any) -> None:
    _add_drains(subparsers)
    _add_drain_requests(subparsers)
    _add_helpers(subparsers)
    _add_recoveries(subparsers)
    _add_losses(subparsers)
    _add_rebalances(subparsers)


def _add_drains(subparsers: Any) -> None:
    drain = add_verb(subparsers, "drain", "move all servers away from a host, which takes in nothing more", True, True)
    drain.add_argument("host")
    drain.add_argument("--dry-run", action="store_true", help="show the plan, and begin nothing")
    drain.add_argument("--strategy", default="live,cold", metavar="WAYS", help="of live, cold, stop, leave, in order")
    drain.add_argument("--to", metavar="HOSTS", help="the only destinations, with commas between them")
    drain.add_argument("--at-most", type=int, metavar="N", help="moves at once")
    drain.add_argument("--deadline", metavar="T", help="no move begins later than in 90s, 30m, 2h, 1d")
    drain.add_argument("--reason", default="", help="shown to operators beside the closed host")
    restore = add_verb(
        subparsers, "restore", "open a drained host again, and bring back what was moved away", True, True
    )
    restore.add_argument("host")
    listed = add_verb(subparsers, "drain-list", "list drains under way", True)
    listed.add_argument("--host", help="only of this host")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="the newest ones, at most 1000")
    listed.add_argument("--marker", metavar="DRAIN", help="only those older than this one")
    listed.add_argument("--all", action="store_true", help="those too that are over")


def _add_drain_requests(subparsers: Any) -> None:
    for name, text in (
        ("drain-show", "show a drain, its plan and what became of each server"),
        ("drain-pause", "begin no further move of a drain"),
        ("drain-resume", "let a paused drain go on"),
        ("drain-cancel", "end a drain, and open its host again"),
    ):
        one = add_verb(subparsers, name, text, True)
        one.add_argument("drain", help="its id or UUID")
        if name == "drain-show":
            one.add_argument("--watch", action="store_true", help="draw it again until it is over")
        if name == "drain-cancel":
            one.add_argument("--undo", action="store_true", help="bring back what went already")


def _add_helpers(subparsers: Any) -> None:
    text = "begin all servers of a lost host elsewhere, of which something must say that it runs nothing"
    evacuate = add_verb(subparsers, "host-evacuate", text, True, True)
    evacuate.add_argument("host")
    evacuate.add_argument("--dry-run", action="store_true", help="show the plan, and begin nothing")
    _add_destinations(evacuate)
    evacuate.add_argument("--at-most", type=int, metavar="N", help="evacuations at once")
    evacuate.add_argument("--deadline", metavar="T", help="none begins later than in 90s, 30m, 2h, 1d")
    evacuate.add_argument("--reason", default="", help="shown beside the evacuation")
    evacuate.add_argument(
        "--discard-local-disks",
        action="store_true",
        help="let disks that only the lost host has be made anew; they are kept aside if it returns",
    )
    for name, text in (
        ("host-evacuate-live", "move all running servers of a host live, as nova's helper does; the host stays open"),
        ("host-servers-migrate", "move all servers of a host cold, as nova's helper does; the host stays open"),
    ):
        helper = add_verb(subparsers, name, text, True, True)
        helper.add_argument("host")
        if name == "host-evacuate-live":
            _add_destinations(helper)


def _add_destinations(verb: argparse.ArgumentParser) -> None:
    text = "the only destinations, with commas between them"
    verb.add_argument("--target-host", "--to", metavar="HOSTS", help=text)


def _add_recoveries(subparsers: Any) -> None:
    listed = add_verb(subparsers, "recovery-list", "list recoveries of lost hosts that are under way", True)
    listed.add_argument("--host", help="only of this host")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="the newest ones, at most 1000")
    listed.add_argument("--all", action="store_true", help="those too that are over")
    shown = add_verb(subparsers, "recovery-show", "show a recovery, why it began and what became of each server", True)
    shown.add_argument("drain", metavar="recovery", help="its id or UUID")
    shown.add_argument("--watch", action="store_true", help="draw it again until it is over")


def _add_losses(subparsers: Any) -> None:
    text = "tell whether all servers can be restarted if any host is lost, and which could not"
    capacity = add_verb(subparsers, "capacity", text, True)
    capacity.add_argument("--lose", type=int, default=1, metavar="N", help="hosts that are lost together")
    capacity.add_argument("--discard-local-disks", action="store_true", help=_DISCARD)
    text = "tell what would become of the servers of hosts that were lost together"
    what_if = add_verb(subparsers, "what-if", text, True)
    what_if.add_argument("--lose", required=True, metavar="HOSTS", help="with commas between them")
    what_if.add_argument("--discard-local-disks", action="store_true", help=_DISCARD)


def _add_rebalances(subparsers: Any) -> None:
    text = "propose moves by what is really used, to relieve hot hosts or empty some; nothing begins without --auto"
    made = add_verb(subparsers, "rebalance", text, True)
    made.add_argument("--objective", choices=("spread", "pack"), default="spread", help="relieve hosts, or empty some")
    made.add_argument("--at-most", type=int, metavar="N", help="moves that are proposed")
    made.add_argument("--horizon", type=int, default=3600, metavar="S", help="seconds in which a move pays for itself")
    begin = made.add_mutually_exclusive_group()
    begin.add_argument("--dry-run", action="store_true", help="only propose, which is the default")
    begin.add_argument("--auto", action="store_true", help="accept all that is proposed")
    accept = add_verb(subparsers, "rebalance-accept", "let moves begin that a rebalance proposed", True)
    accept.add_argument("rebalance", help="its id or UUID")
    accept.add_argument("--servers", metavar="UUIDS", help="only these, with commas between them")
    listed = add_verb(subparsers, "rebalance-list", "list rebalances", True)
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="the newest ones, at most 1000")
    shown = add_verb(subparsers, "rebalance-show", "show a rebalance, its moves, and what was measured since", True)
    shown.add_argument("rebalance", help="its id or UUID")
