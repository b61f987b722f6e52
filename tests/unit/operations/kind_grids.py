"""What each kind must be as a whole, by the rules. Kept by hand, never printed from the table.

Rule 4: a live migration is past return once the guest runs there, a cold move once it is confirmed, a deletion at once.
Where no host has anything to undo there is no such point. The words are Nova's; the last two kinds are migrator's own.
"""

KINDS = """
kind               | no return from | os-migrations | action             | good end  | way back         | on failure
build              | commit         | no            | create             | completed | -                | -
delete             | cleanup        | no            | delete             | completed | -                | -
start              | -              | no            | start              | completed | -                | record_power
stop               | -              | no            | stop               | completed | -                | record_power
reboot             | -              | no            | reboot             | completed | -                | record_power
suspend            | -              | no            | suspend            | completed | -                | record_power
resume             | -              | no            | resume             | completed | -                | record_power
pause              | -              | no            | pause              | completed | -                | record_power
unpause            | -              | no            | unpause            | completed | -                | record_power
live-migration     | commit         | yes           | live-migration     | completed | -                | -
migration          | confirm        | yes           | migrate            | confirmed | resize_reverting | -
resize             | confirm        | yes           | resize             | confirmed | resize_reverting | -
evacuation         | commit         | yes           | evacuate           | completed | -                | -
kept-disks-restore | commit         | no            | restore_kept_disks | completed | -                | record_power
kept-disks-drop    | -              | no            | drop_kept_disks    | completed | -                | -
"""

# Of a live migration the verdict tells where the guest runs. Only a cold move has a copy before it has a record of it.
# Rules 1 and 2: what starts, or gives up, a guest where the record has it waits until that host has listed what it has.
PLACES = """
kind               | stopped by | started by | copied by | recorded by | stays from | trusts record
build              | -          | -          | -         | -           | -          | no
delete             | -          | -          | -         | -           | -          | yes
start              | -          | -          | -         | -           | -          | yes
stop               | -          | -          | -         | -           | -          | no
reboot             | -          | -          | -         | -           | -          | yes
suspend            | -          | -          | -         | -           | -          | no
resume             | -          | -          | -         | -           | -          | yes
pause              | -          | -          | -         | -           | -          | no
unpause            | -          | -          | -         | -           | -          | yes
live-migration     | -          | -          | -         | -           | -          | no
migration          | stop       | start      | copy      | record      | start      | no
resize             | stop       | start      | copy      | record      | start      | no
evacuation         | -          | -          | -         | -           | -          | no
kept-disks-restore | -          | -          | -         | -           | -          | no
kept-disks-drop    | -          | -          | -         | -           | -          | no
"""
