"""What a live migration's phases must be, by the rules. Kept by hand, never printed from the table.

The rules are those of docs/design.md, by number; the status words are Nova's: accepted while the guest is looked
at, queued while it waits for a host and for its turn, preparing, running, and post-migrating once the guest is there.
"""

from migrator.operations import Kind

WAYS = {
    Kind.LIVE_MIGRATION: """
phase    | actor       | makes true        | until          | undone as           | undone until | other host
inspect  | source      | movable           | fact           | -                   | -            | -
claim    | scheduler   | claim_destination | effect         | release_destination | effect       | -
check    | destination | compatible        | fact           | -                   | -            | -
measure  | source      | measured          | fact           | -                   | -            | -
lend     | source      | lent              | fact           | withdrawn           | fact         | -
fetch    | destination | copied            | both checksums | absent              | fact         | lent
prepare  | destination | prepared          | fact           | absent              | fact         | observed
transfer | source      | migrating         | verdict        | not_migrating       | verdict      | observed
commit   | scheduler   | move_record       | effect         | -                   | -            | -
attest   | destination | disks_whole       | proof          | -                   | -            | observed
cleanup  | source      | absent            | fact           | -                   | -            | observed
release  | scheduler   | release_source    | effect         | -                   | -            | -
""",
}

# The hosts change nothing in "inspect", "check" and "measure". Rule 1: the undo of "prepare" waits for a host that is
# only silent, for the guest may be on its way there. Rules 2 and 11: the source's copy goes only past "attest".
STAKES = {
    Kind.LIVE_MIGRATION: """
phase    | destroys | undo destroys | undo put off | proof  | undo's proof | besides
inspect  | -        | -             | -            | -      | -            | harmless
claim    | -        | -             | -            | -      | -            | -
check    | -        | -             | -            | -      | -            | harmless, else another host
measure  | -        | -             | -            | -      | -            | harmless, where the strategy is chosen
lend     | -        | -             | host fenced  | -      | -            | lends, left to a deletion
fetch    | -        | copy          | host fenced  | -      | -            | lends, else another host
prepare  | -        | copy          | host fenced  | -      | -            | else another host
transfer | -        | -             | -            | -      | -            | -
commit   | -        | -             | -            | -      | -            | -
attest   | -        | -             | -            | -      | -            | not if shared
cleanup  | copy     | -             | -            | attest | -            | -
release  | -        | -             | -            | -      | -            | -
""",
}

SHOWN = {
    Kind.LIVE_MIGRATION: """
phase    | keeps               | written from | alarm after | status         | task_state
inspect  | guest               | -            | 15 min      | accepted       | migrating
claim    | -                   | -            | 1 day       | queued         | migrating
check    | shared pools        | -            | 15 min      | preparing      | migrating
measure  | strategy            | -            | 15 min      | preparing      | migrating
lend     | lent files          | -            | 15 min      | preparing      | migrating
fetch    | -                   | -            | 1 day       | preparing      | migrating
prepare  | destination's disks | -            | 15 min      | preparing      | migrating
transfer | -                   | -            | 1 day       | running        | migrating
commit   | -                   | destination  | 15 min      | post-migrating | migrating
attest   | -                   | -            | 1 day       | post-migrating | migrating
cleanup  | -                   | -            | 1 hour      | post-migrating | migrating
release  | -                   | -            | 15 min      | post-migrating | migrating
""",
}
