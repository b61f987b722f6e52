"""What the phases of a migration and of a resize must be, by the rules. Kept by hand, never printed from the table.

The rules are those of docs/design.md, by number. The status and task_state words are Nova's for a cold move:
pre-migrating, migrating, post-migrating, finished, confirming; resize_prep, resize_migrating, resize_finish, and none
while and after the move is confirmed.
"""

from migrator.operations import Kind

_WAY = """
phase   | actor       | makes true         | until          | undone as               | undone until | other host
inspect | source      | described          | fact           | -                       | -            | -
claim   | scheduler   | claim_destination  | effect         | release_destination     | effect       | -
check   | destination | compatible         | fact           | -                       | -            | -
depart  | scheduler   | -                  | effect         | record_returned         | effect       | -
stop    | source      | shut_off           | fact           | powered                 | fact         | -
offer   | source      | offered            | fact           | withdrawn               | fact         | -
copy    | destination | copied             | both checksums | absent                  | fact         | offered
start   | destination | powered            | fact           | not_running (suspended) | fact         | -
keep    | source      | -                  | effect         | disks_whole             | proof        | observed
record  | scheduler   | record_resized     | effect         | -                       | -            | -
verify  | operator    | await_confirmation | operator       | -                       | -            | -
attest  | destination | disks_whole        | proof          | -                       | -            | -
confirm | scheduler   | record_confirmed   | effect         | -                       | -            | -
prove   | destination | disks_whole        | proof          | -                       | -            | -
cleanup | source      | absent             | fact           | -                       | -            | -
release | scheduler   | release_source     | effect         | -                       | -            | -
"""

# Rule 2: the source's copy goes after the confirm, past "prove". Rule 11: on the way back the destination's guest and
# copy go past "keep". The undo of "copy" may wait for a host that is only silent: nothing ran from that copy. Once the
# move is confirmed the instance is free, and what is left waits for the source as long as it takes.
_STAKES = """
phase   | destroys | undo destroys | undo put off | proof | undo's proof | besides
inspect | -        | -             | -            | -     | -            | harmless
claim   | -        | -             | -            | -     | -            | -
check   | -        | -             | -            | -     | -            | harmless, else another host, not on one host
depart  | -        | -             | -            | -     | -            | -
stop    | -        | -             | -            | -     | -            | left to a deletion
offer   | -        | -             | host fenced  | -     | -            | left to a deletion, not on one host
copy    | -        | copy          | host silent  | -     | keep         | not on one host
start   | -        | running guest | host fenced  | -     | keep         | -
keep    | -        | -             | -            | -     | -            | not on one host
record  | -        | -             | -            | -     | -            | -
verify  | -        | -             | -            | -     | -            | -
attest  | -        | -             | -            | -     | -            | not on one host
confirm | -        | -             | -            | -     | -            | -
prove   | -        | -             | -            | -     | -            | frees, not on one host, not if shared
cleanup | copy     | -             | -            | prove | -            | frees, not on one host
release | -        | -             | -            | -     | -            | frees
"""

_SHOWN = """
phase   | keeps                    | written from | alarm after | status         | task_state
inspect | guest and power state    | -            | 15 min      | pre-migrating  | resize_prep
claim   | -                        | -            | 1 day       | pre-migrating  | resize_prep
check   | shared pools             | -            | 15 min      | pre-migrating  | resize_prep
depart  | -                        | source       | 15 min      | migrating      | resize_migrating
stop    | -                        | -            | 15 min      | migrating      | resize_migrating
offer   | lent images              | -            | 15 min      | migrating      | resize_migrating
copy    | checksums and statistics | -            | 1 day       | migrating      | resize_migrating
start   | -                        | -            | 15 min      | post-migrating | resize_finish
keep    | -                        | -            | 1 day       | post-migrating | resize_finish
record  | -                        | destination  | 15 min      | post-migrating | resize_finish
verify  | -                        | -            | never       | finished       | -
attest  | -                        | -            | 1 day       | confirming     | -
confirm | -                        | -            | 15 min      | confirming     | -
prove   | -                        | -            | 1 day       | confirming     | -
cleanup | -                        | -            | 1 day       | confirming     | -
release | -                        | -            | 15 min      | confirming     | -
"""

WAYS = {Kind.MIGRATION: _WAY, Kind.RESIZE: _WAY}
STAKES = {Kind.MIGRATION: _STAKES, Kind.RESIZE: _STAKES}
SHOWN = {Kind.MIGRATION: _SHOWN, Kind.RESIZE: _SHOWN}
