"""What the steps are like that hosts are asked for, whatever phase asks: a column of ``Ensure``. Never acts."""

from migrator.protocol import Ensure

# There is no progress to show: a guest, or what a host has of it, is as it should be, or it is not.
SETTLES = frozenset(
    {
        *(Ensure.RUNNING, Ensure.SHUT_OFF, Ensure.NOT_RUNNING, Ensure.POWERED, Ensure.PAUSED, Ensure.UNPAUSED),
        *(Ensure.SUSPENDED, Ensure.ABSENT, Ensure.SET_ASIDE, Ensure.KEPT_RESTORED, Ensure.KEPT_UNRESTORED),
    }
)
