"""What the phases must be of kinds that stay on one host: build, delete, and what is done to a guest where it is.

By the rules of docs/design.md; kept by hand, never printed from the table. The task_state words are Nova's.
"""

from migrator.operations import Kind

_POWER_WAY = """
phase  | actor     | makes true   | until  | undone as | undone until | other host
{0:6}  | source    | {1:12}       | fact   | -         | -     | -
commit | scheduler | record_power | effect | -         | -     | -
"""
_POWER_STAKES = """
phase  | destroys | undo destroys | undo put off | proof | undo's proof | besides
{0:6}  | -        | -             | -            | -     | -            | -
commit | -        | -             | -            | -     | -            | -
"""
_POWER_SHOWN = """
phase  | keeps | written from | alarm after | status | task_state
{0:6}  | -     | -            | 15 min      | -      | {1:10}
commit | -     | source       | 15 min      | -      | {1:10}
"""
_POWER = """
kind    | makes true | task_state
start   | running    | powering-on
stop    | shut_off   | powering-off
suspend | suspended  | suspending
resume  | powered    | resuming
pause   | paused     | pausing
unpause | unpaused   | unpausing
"""
_POWERED = [[cell.strip() for cell in line.split("|")] for line in _POWER.strip().splitlines()[1:]]

WAYS = {
    Kind.BUILD: """
phase  | actor       | makes true        | until  | undone as           | undone until | other host
claim  | scheduler   | claim_destination | effect | release_destination | effect       | -
disks  | destination | disks_present     | fact   | absent              | fact         | -
start  | destination | running           | fact   | absent              | fact         | -
commit | scheduler   | record_built      | effect | -                   | -            | -
""",
    Kind.DELETE: """
phase     | actor     | makes true     | until         | undone as | undone until | other host
cleanup   | source    | absent         | fact          | -         | -            | -
elsewhere | scheduler | await_no_copy  | no other copy | -         | -            | -
release   | scheduler | release_source | effect        | -         | -            | -
commit    | scheduler | record_deleted | effect        | -         | -            | -
""",
    Kind.REBOOT: """
phase  | actor     | makes true   | until  | undone as | undone until | other host
stop   | source    | shut_off     | fact   | -         | -            | -
start  | source    | running      | fact   | -         | -            | -
commit | scheduler | record_power | effect | -         | -            | -
""",
    **{Kind(kind): _POWER_WAY.format(kind, ensure) for kind, ensure, _ in _POWERED},
}

# Everything goes where the instance ends, and where it never was: nothing of it is elsewhere, and no record names it.
STAKES = {
    Kind.BUILD: """
phase  | destroys | undo destroys | undo put off | proof | undo's proof | besides
claim  | -        | -             | -            | -     | -            | -
disks  | -        | everything    | host fenced  | -     | -            | else another host
start  | -        | everything    | host fenced  | -     | -            | else another host
commit | -        | -             | -            | -     | -            | -
""",
    Kind.DELETE: """
phase     | destroys   | undo destroys | undo put off | proof | undo's proof | besides
cleanup   | everything | -             | -            | -     | -            | -
elsewhere | -          | -             | -            | -     | -            | -
release   | -          | -             | -            | -     | -            | -
commit    | -          | -             | -            | -     | -            | -
""",
    Kind.REBOOT: """
phase  | destroys | undo destroys | undo put off | proof | undo's proof | besides
stop   | -        | -             | -            | -     | -            | -
start  | -        | -             | -            | -     | -            | -
commit | -        | -             | -            | -     | -            | -
""",
    **{Kind(kind): _POWER_STAKES.format(kind) for kind, _, _ in _POWERED},
}

SHOWN = {
    Kind.BUILD: """
phase  | keeps | written from | alarm after | status | task_state
claim  | -     | -            | 1 day       | -      | scheduling
disks  | -     | -            | 1 hour      | -      | block_device_mapping
start  | -     | -            | 15 min      | -      | spawning
commit | -     | -            | 15 min      | -      | spawning
""",
    Kind.DELETE: """
phase     | keeps | written from | alarm after | status | task_state
cleanup   | -     | -            | 15 min      | -      | deleting
elsewhere | -     | -            | 15 min      | -      | deleting
release   | -     | -            | 15 min      | -      | deleting
commit    | -     | -            | 15 min      | -      | deleting
""",
    Kind.REBOOT: """
phase  | keeps | written from | alarm after | status | task_state
stop   | -     | -            | 15 min      | -      | rebooting (rebooting_hard)
start  | -     | -            | 15 min      | -      | reboot_started (reboot_started_hard)
commit | -     | source       | 15 min      | -      | reboot_started (reboot_started_hard)
""",
    **{Kind(kind): _POWER_SHOWN.format(kind, task) for kind, _, task in _POWERED},
}
