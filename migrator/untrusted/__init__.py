"""What strangers wrote (names, addresses, images, text for a terminal): checked, bounded or escaped."""
