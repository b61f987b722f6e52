"""libvirt, call by call: the only package that imports it, a file for each of its nouns.

What is called a connection or a domain elsewhere in the agent is libvirt's object, and is only handed back here or
asked for what it is. Never knows an instance, a file's place or an operation: ``libvirt/driver.py`` does.
"""
