"""How large each message of an agent may be, and what that follows from.

The sender of a message keeps within these sizes, and the receiver refuses more before anything of it is read: a
larger one is no message, but keeps the receiver from all others.
"""

_KIB, _MIB = 2**10, 2**20

# A description: 1,000 features of 64 characters, 500 machine types of 64, 256 networks of 255, 64 pools.
REGISTRATION = 512 * _KIB
# The list of what a host holds: 10,000 copies (``bounds.ITEMS_MAX``) of some 260 bytes each, stamp and seal included.
POLL = 4 * _MIB
# As many as fit: an agent with more of them sends several messages. One alone is below 200 KiB, CPU included.
FACTS = 1 * _MIB
# 10,000 guests of 120 bytes, 32 CPUs of 16 KiB, answers about 500 CPUs, 100 peers and 1,000 volumes of 300 bytes each,
# 1,000 kept disks and 1,000 leftovers of 400 bytes.
SURVEY = 4 * _MIB

# The pieces of consoles in base64, and 250 bytes around each of at most 500.
CONSOLES = 640 * _KIB

OTHERS = 1024  # no other request of an agent has a body

# Values that one message may hold. Of 4 MiB of real ones each takes more than 10 bytes; millions of empty ones take
# seconds to build.
PARTS_MAX = 400_000
