"""Discord and X played on this machine, for the demo and the tests.

The servers here speak the platforms' own protocols on 127.0.0.1, so that the product talks to them through the same
client libraries, over real sockets, as it talks to the platforms. Nothing else in the product imports this room, and
this room imports nothing of the product: what it knows comes from the platforms' documentation alone.

What it does not know: sharding across machines, or the many routes that a bot like ours never calls. A route that is
not played is answered 404, as an unknown route of the platform would be.
"""
