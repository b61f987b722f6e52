"""Names that something else than Python code of this repository uses: vulture's whitelist, each with the reason."""

_.run_simulated_agents  # tests/skew calls it in a program of the previous release, which is a string
_.isolation_level  # of sqlite3's connection, which reads it
_.max_mem  # of re2's options, which it reads
_.log_errors  # the same
_.should_exit  # of uvicorn's server, which reads it
_.align  # of prettytable's table, which reads it
_.handle_async_request  # httpx calls its transport
_.auth_flow  # and what authenticates its requests
_.do_POST  # of http.server's handlers, which call it
_.log_message  # of http.server's handlers, which call it
_._task  # keeps asyncio's task from being collected while it runs
_.ip  # a filter of servers, by the name in the query; and an address in an instance's stored networks
_.ip6  # a filter of servers, by the name in the query
_.os_hidden  # a column of images, listed so that the row is whole
_.destination_host  # the server signs it, from the assignment's inputs in JSON
_.setup_ms  # the metrics and the history of transfers read it from the fact in JSON
_.Blob  # declaring it is what the test expects to fail
_.formatter_class  # of argparse's parser, which reads it
_.manual  # of argparse-manpage's page, which reads it
_.create_default_network  # of a class of tempest's tests, which reads it
_.bandwidth_by  # a key of a row in JSON, which clients read
_.changed_because  # the same
