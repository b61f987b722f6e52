"""Files of instances: disks, images under them, saved memory, config drives, and the pools they lie in."""
