"""The client's subcommands: nova's verbs, options and output, over HTTP.

Owns the command line's shape; ``actions.py`` does what the verbs say, ``listings.py`` holds the listings as data.
Nothing that speaks HTTP is imported before a verb runs, so that an agent stays small.
"""

from typing import Any

from migrator.cli import fleet_verbs
from migrator.cli.verb import add_verb

_LISTED = ("list", "migration-list", "service-list", "hypervisor-list", "flavor-list")


def add(subparsers: Any) -> None:
    """Add every verb to the command line."""
    _add_listings(subparsers)
    _add_server_verbs(subparsers)
    _add_moves(subparsers)
    _add_cold_moves(subparsers)
    _add_preflight(subparsers)
    fleet_verbs.add(subparsers)
    _add_services(subparsers)
    _add_hosts(subparsers)
    _add_flavors_and_images(subparsers)
    _add_volumes(subparsers)
    _add_networks(subparsers)
    _add_webhooks(subparsers)
    _add_alarms(subparsers)
    _add_kept_disks(subparsers)
    left = add_verb(
        subparsers, "leftovers", "list what hosts have that no record knows, or that nothing uses", json=True
    )
    left.add_argument("host", nargs="?", help="without it: of every host")


def _add_listings(subparsers: Any) -> None:
    from migrator.cli.listings import LISTINGS

    for name in _LISTED:
        parser = add_verb(subparsers, name, LISTINGS[name].help, json=True)
        for option, _ in LISTINGS[name].filters:
            parser.add_argument(f"--{option}")


def _add_server_verbs(subparsers: Any) -> None:
    boot = add_verb(subparsers, "boot", "boot a new server", json=True, poll=True)
    boot.add_argument("name")
    boot.add_argument("--flavor", required=True, help="name or id")
    boot.add_argument("--image", help="name or id")
    boot.add_argument("--boot-volume", metavar="VOLUME", help="boot from it, in place of an image")
    boot.add_argument("--volume", action="append", default=[], help="attach it; may be repeated")
    boot.add_argument("--nic", action="append", default=[], metavar="none|auto|net-id=ID[,fixed-ip=IP]")
    boot.add_argument("--meta", action="append", default=[], metavar="KEY=VALUE")
    boot.add_argument("--availability-zone")
    boot.add_argument("--host", help="boot on this host")
    boot.add_argument("--config-drive", action="store_true", help="give it a config drive")
    add_verb(subparsers, "show", "show one server", json=True).add_argument("server")
    console = add_verb(subparsers, "console-log", "show what a server wrote to its console", json=True)
    console.add_argument("server")
    console.add_argument("--length", type=int, metavar="LINES", help="the last lines alone")
    reset = add_verb(subparsers, "reset-state", "set servers' state to error, or to what their host lists")
    reset.add_argument("--active", action="store_true", help="the state that the server's own host lists")
    reset.add_argument("server", nargs="+")
    add_verb(subparsers, "delete", "delete servers", poll=True).add_argument("server", nargs="+")
    add_verb(subparsers, "start", "start servers", poll=True).add_argument("server", nargs="+")
    add_verb(subparsers, "stop", "stop servers", poll=True).add_argument("server", nargs="+")
    add_verb(subparsers, "suspend", "suspend servers", poll=True).add_argument("server", nargs="+")
    add_verb(subparsers, "resume", "resume suspended servers", poll=True).add_argument("server", nargs="+")
    add_verb(subparsers, "pause", "stop servers' CPUs, and keep their memory", poll=True).add_argument(
        "server", nargs="+"
    )
    add_verb(subparsers, "unpause", "let paused servers go on", poll=True).add_argument("server", nargs="+")
    reboot = add_verb(subparsers, "reboot", "reboot servers", poll=True)
    reboot.add_argument("--hard", action="store_true", help="do not ask the guest")
    reboot.add_argument("server", nargs="+")


def _add_moves(subparsers: Any) -> None:
    live = add_verb(subparsers, "live-migration", "move a running server to another host", poll=True)
    live.add_argument("--block-migrate", action="store_true", help="insist on copying disks; without it the hosts tell")
    live.add_argument("server")
    live.add_argument("host", nargs="?", help="the destination; without it the scheduler chooses")
    for name, text in (
        ("live-migration-abort", "abort a live migration"),
        ("live-migration-force-complete", "end a live migration although its guest is busy"),
        ("server-migration-show", "show a live migration that is under way"),
    ):
        one = add_verb(subparsers, name, text, json=name.endswith("show"))
        one.add_argument("server")
        one.add_argument("migration")
    listed = add_verb(subparsers, "server-migration-list", "list a server's live migrations under way", json=True)
    listed.add_argument("server")
    steer = add_verb(subparsers, "live-migration-steer", "set what is wanted of a live migration from now on")
    steer.add_argument("server")
    steer.add_argument("migration")
    steer.add_argument("--bandwidth", type=int, metavar="MIB_S", help="of memory, in MiB/s; 0 is no limit")
    steer.add_argument("--max-downtime", type=int, metavar="MS", help="in place of the steps")
    held = steer.add_mutually_exclusive_group()
    held.add_argument("--hold", dest="held", action="store_true", default=None, help="throttle it to the least")
    held.add_argument("--resume", dest="held", action="store_false", default=None, help="end that")
    steer.add_argument("--post-copy", action="store_true", default=None, help="switch over now, fetch the rest then")
    line = add_verb(subparsers, "timeline", "tell what happened during an operation", json=True)
    line.add_argument(
        "id", metavar="OPERATION|SERVER", help="id or UUID; of a server, or by its name: the newest operation"
    )


def _add_cold_moves(subparsers: Any) -> None:
    migrate = add_verb(subparsers, "migrate", "stop a server, move it to another host and start it there", poll=True)
    migrate.add_argument("server")
    migrate.add_argument("--host", help="the destination; without it the scheduler chooses")
    resize = add_verb(subparsers, "resize", "give a server another flavor, on another host", poll=True)
    resize.add_argument("server")
    resize.add_argument("flavor", help="name or id")
    for name, text in (
        ("resize-confirm", "let a migration or resize stand"),
        ("resize-revert", "bring a server back to where, and what, it was"),
    ):
        add_verb(subparsers, name, text).add_argument("server")
    evacuate = add_verb(subparsers, "evacuate", "bring a server of a failed host back on another", poll=True)
    evacuate.add_argument("server")
    evacuate.add_argument("host", nargs="?", help="the destination; without it the scheduler chooses")
    evacuate.add_argument("--password", help="admin password of a server that is rebuilt; without it one is made")
    evacuate.add_argument(
        "--on-shared-storage", action="store_true", help="insist that its disks are shared; without it the hosts tell"
    )
    evacuate.add_argument(
        "--discard-local-disks",
        action="store_true",
        help="let disks that only the failed host has be made anew; they are kept aside if it returns",
    )


def _add_preflight(subparsers: Any) -> None:
    text = "show where a server could move live: every host with every check; nothing is started"
    checked = add_verb(subparsers, "preflight", text, json=True)
    checked.add_argument("server", nargs="?")
    checked.add_argument("--from", dest="source", metavar="HOST", help="all servers of this host")
    checked.add_argument("--evacuate", metavar="HOST", help="all servers of this host, were it lost: what they keep")
    checked.add_argument("--to", action="append", metavar="HOST", help="only this destination; may be repeated")
    baseline = add_verb(subparsers, "cpu-baseline", "find the CPU model that all hosts can run, by libvirt", json=True)
    baseline.add_argument("host", nargs="*", help="without any: all of them")
    baseline.add_argument(
        "--connect", default="qemu:///system", metavar="URI", help="the libvirtd that works it out; any host's will do"
    )


def _add_services(subparsers: Any) -> None:
    for name, text in (
        ("service-force-down", "say that a host is down, which is evidence that it runs nothing"),
        ("service-disable", "place nothing more on a host"),
        ("service-enable", "place servers on a host again"),
    ):
        verb = add_verb(subparsers, name, text, json=True)
        verb.add_argument("host")
        if name == "service-force-down":
            verb.add_argument("--unset", action="store_true", help="take it back, once the host has cleaned up")
        if name == "service-disable":
            verb.add_argument("--reason")


def _add_hosts(subparsers: Any) -> None:
    approve = add_verb(subparsers, "host-approve", "let instances be placed on a host, within limits", json=True)
    approve.add_argument("host")
    for name in ("vcpus", "memory-mb", "disk-gb"):
        approve.add_argument(
            f"--{name}", type=int, help="that instances may be given at most; else what the host reports"
        )
    join = add_verb(subparsers, "host-join", "invite a host: prints the line to run on it", json=True)
    join.add_argument("host", help="the name that it gets")
    join.add_argument("--valid", type=int, default=60, metavar="MINUTES", help="until it ends (%(default)s)")
    join.add_argument(
        "--agent-url", help="at which the host reaches the agents' port; else as the server's settings say"
    )
    join.add_argument(
        "--replace", action="store_true", help="also a host whose agent has a credential, which then ends"
    )
    delete = add_verb(subparsers, "host-delete", "remove a host on which nothing is outstanding, and its credential")
    delete.add_argument("host")
    replace = add_verb(
        subparsers, "host-replace", "another machine takes the place of a silent one for good", json=True
    )
    replace.add_argument("host")
    replace.add_argument("--machine", help="its identity, as `migrator alarms` names it; else the one that asked last")
    replace.add_argument("--abandon", action="store_true", help="give up what is recorded of the old machine")
    fence = add_verb(subparsers, "host-fence", "set the address that the fence command is given for a host", json=True)
    fence.add_argument("host")
    which = fence.add_mutually_exclusive_group(required=True)
    which.add_argument("--address", help="of its power switch or management board")
    which.add_argument("--unset", action="store_true", help="it has none")


def _add_flavors_and_images(subparsers: Any) -> None:
    flavor = add_verb(subparsers, "flavor-create", "create a flavor", json=True)
    for name, text in (("name", None), ("id", "or auto"), ("ram", "MiB"), ("disk", "GiB"), ("vcpus", None)):
        flavor.add_argument(name, help=text)
    flavor.add_argument("--ephemeral", type=int, default=0, help="GiB of a second, empty disk")
    flavor.add_argument("--description")
    key = add_verb(subparsers, "flavor-key", "set or unset a flavor's extra specs")
    key.add_argument("flavor")
    key.add_argument("action", choices=["set", "unset"])
    key.add_argument("specs", nargs="+", metavar="KEY=VALUE", help="for unset: KEY")
    add_verb(subparsers, "image-list", "list images", json=True)
    image = add_verb(subparsers, "image-create", "register an image and upload its file", json=True)
    image.add_argument("name")
    image.add_argument("--file", required=True)
    image.add_argument("--disk-format", default="qcow2")
    image.add_argument("--container-format", default="bare")
    image.add_argument("--property", action="append", default=[], metavar="KEY=VALUE")


def _add_volumes(subparsers: Any) -> None:
    made = add_verb(subparsers, "volume-create", "make a network disk known that another system keeps", json=True)
    made.add_argument("name")
    made.add_argument("source", help="nbd://HOST:PORT/EXPORT, as every host reaches it; raw")
    made.add_argument("size", type=int, help="GiB that it has at least")
    made.add_argument("--image", help="whose kernel, ramdisk and command line boot it")
    add_verb(subparsers, "volume-list", "list volumes", json=True)
    text = "forget volumes; what they hold is left alone"
    add_verb(subparsers, "volume-delete", text).add_argument("volume", nargs="+")


def _add_networks(subparsers: Any) -> None:
    made = add_verb(subparsers, "network-create", "name a network that servers can be in", json=True)
    made.add_argument("name")
    made.add_argument("--bridge", required=True, help="that every host has which shall take its servers")
    made.add_argument("--openvswitch", action="store_true", help="the bridge is Open vSwitch's")
    made.add_argument("--vlan", type=int, metavar="TAG", help="of its frames on the bridge")
    made.add_argument("--cidr", help="such as 10.9.0.0/24; without it servers are given no addresses")
    made.add_argument("--gateway", help="that servers are told")
    made.add_argument("--dns", action="append", default=[], help="that servers are told; may be repeated")
    made.add_argument(
        "--range", action="append", default=[], metavar="FIRST-LAST", help="addresses for servers; may be repeated"
    )
    add_verb(subparsers, "network-list", "list networks", json=True)
    add_verb(subparsers, "network-delete", "delete networks in which no server is").add_argument("network", nargs="+")


def _add_webhooks(subparsers: Any) -> None:
    made = add_verb(subparsers, "webhook-create", "have a receiver told of events by signed requests", json=True)
    made.add_argument("name")
    made.add_argument("receiver", metavar="URL", help="https://HOST[:PORT][/PATH] that takes them")
    made.add_argument("--event", action="append", default=[], metavar="NAME", help="only these; may be repeated")
    add_verb(subparsers, "webhook-list", "list webhooks, and how many events each is behind", json=True)
    told = add_verb(subparsers, "webhook-deliveries", "tell what a webhook's receiver took", json=True)
    told.add_argument("webhook")
    told.add_argument("--state", choices=("delivered", "failing", "given up"))
    told.add_argument("--limit", type=int, default=100, metavar="N", help="the newest ones, at most 1000")
    add_verb(subparsers, "webhook-delete", "delete webhooks").add_argument("webhook", nargs="+")


def _add_alarms(subparsers: Any) -> None:
    text = "tell where a server is, by whose word, what else could run, whether its data is safe, and what to do"
    where = add_verb(subparsers, "where", text, json=True)
    where.add_argument("server", help="name, id, IP or MAC address; the id where there is no record of it")
    listed = add_verb(subparsers, "alarms", "list what was found wrong and is not over", json=True)
    listed.add_argument("--host", help="only about this host")
    listed.add_argument("--server", help="only about this server")
    listed.add_argument("--kind", help="only of this kind")
    listed.add_argument("--cleared", action="store_true", help="also those that are over")
    text = "show a server's record and every host's copy of it; with --host, say which copy is the right one"
    sides = add_verb(subparsers, "reconcile", text, json=True)
    sides.add_argument("server", help="name or id; the id where there is no record of it")
    sides.add_argument("--host", help="the record shall say what this host has")
    sides.add_argument(
        "--given-up", action="append", default=[], metavar="HOST", help="what this fenced host had counts no more"
    )
    sides.add_argument("--unproven", action="store_true", help="although nothing shows that HOST was ever given it")


def _add_kept_disks(subparsers: Any) -> None:
    listed = add_verb(
        subparsers, "kept-disks", "list what hosts keep of servers that were evacuated from them", json=True
    )
    listed.add_argument("host", nargs="?", help="without it: of every host")
    restore = add_verb(subparsers, "kept-disks-restore", "put kept disks in the place of a stopped server's", poll=True)
    drop = add_verb(subparsers, "kept-disks-drop", "delete kept disks before their time")
    for verb in (restore, drop):
        verb.add_argument("server", help="name or id; of a deleted one the id")
        verb.add_argument("operation", nargs="?", help="that kept them, as `kept-disks` lists it")
