"""What the phases of an evacuation must be, and of what is done with disks that it has put aside, by the rules.

The rules are those of docs/design.md, by number; kept by hand, never printed from the table. Nova's words for an
evacuation: accepted, pre-migrating, done until the lost host has come back; rebuilding, rebuild_block_device_mapping,
rebuild_spawning.
"""

from migrator.operations import Kind

WAYS = {
    Kind.EVACUATION: """
phase   | actor       | makes true        | until  | undone as               | undone until | other host
claim   | scheduler   | claim_destination | effect | release_destination     | effect       | -
check   | destination | compatible        | fact   | -                       | -            | -
fence   | source      | not_running       | fact   | -                       | -            | -
rebuild | destination | rebuilt           | fact   | absent                  | fact         | observed
start   | destination | powered           | fact   | not_running (suspended) | fact         | observed
commit  | scheduler   | move_record       | effect | -                       | -            | -
cleanup | source      | set_aside         | fact   | -                       | -            | -
release | scheduler   | release_source    | effect | -                       | -            | -
""",
    Kind.KEPT_RESTORE: """
phase  | actor     | makes true    | until  | undone as       | undone until | other host
swap   | source    | kept_restored | fact   | kept_unrestored | fact         | -
commit | scheduler | record_power  | effect | -               | -            | -
""",
    Kind.KEPT_DROP: """
phase | actor  | makes true   | until | undone as | undone until | other host
drop  | source | kept_dropped | fact  | -         | -            | -
""",
}

# Rule 7: evidence suffices in "fence", and nowhere else. Rule 8: past "commit" the lost host's copy is the stray one,
# and is stopped even if it runs. Its host may be back in a month: the instance is free in that time.
STAKES = {
    Kind.EVACUATION: """
phase   | destroys              | undo destroys | undo put off | proof | undo's proof | besides
claim   | -                     | -             | -            | -     | -            | -
check   | -                     | -             | -            | -     | -            | harmless, else another host
fence   | -                     | -             | -            | -     | -            | evidence suffices
rebuild | -                     | copy          | host silent  | -     | -            | source first, else another host
start   | -                     | running guest | host fenced  | -     | -            | -
commit  | -                     | -             | -            | -     | -            | -
cleanup | copy, even if it runs | -             | -            | -     | -            | frees
release | -                     | -             | -            | -     | -            | frees
""",
    Kind.KEPT_RESTORE: """
phase  | destroys | undo destroys | undo put off | proof | undo's proof | besides
swap   | -        | -             | -            | -     | -            | -
commit | -        | -             | -            | -     | -            | -
""",
    Kind.KEPT_DROP: """
phase | destroys | undo destroys | undo put off | proof | undo's proof | besides
drop  | -        | -             | -            | -     | -            | frees
""",
}

SHOWN = {
    Kind.EVACUATION: """
phase   | keeps        | written from | alarm after | status        | task_state
claim   | -            | -            | 1 day       | accepted      | rebuilding
check   | shared pools | -            | 15 min      | accepted      | rebuilding
fence   | -            | -            | 15 min      | pre-migrating | rebuilding
rebuild | -            | -            | 1 hour      | pre-migrating | rebuild_block_device_mapping
start   | -            | -            | 15 min      | pre-migrating | rebuild_spawning
commit  | -            | destination  | 15 min      | pre-migrating | rebuild_spawning
cleanup | kept disks   | -            | 1 day       | done          | -
release | -            | -            | 15 min      | done          | -
""",
    Kind.KEPT_RESTORE: """
phase  | keeps | written from | alarm after | status | task_state
swap   | -     | -            | 15 min      | -      | rebuilding
commit | -     | source       | 15 min      | -      | rebuilding
""",
    Kind.KEPT_DROP: """
phase | keeps | written from | alarm after | status | task_state
drop  | -     | -            | 15 min      | -      | -
""",
}
