"""An MCP server of both eras that tells with which credential it was called: as digests, so that it gives nothing away.

Over HTTP it listens on a free loopback port, which uvicorn prints. With the argument `stdio` it speaks over its standard
streams, gets its credential from its environment, and is careless with it: it writes it to its log.
"""

import hashlib
import logging
import os
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer(name="keeper", version="1")


def digests(values):
    """Of each word, so that one can be found whatever stands beside it."""
    return {
        name.lower(): [hashlib.sha256(word.encode()).hexdigest() for word in value.split()]
        for name, value in values.items()
    }


@server.tool()
def credential(ctx: Context) -> dict[str, list[str]]:
    """Digests of the words in each header, or in each variable of the environment."""
    return digests(os.environ if "stdio" in sys.argv else ctx.headers or {})


@server.tool()
def spend() -> str:
    """What nobody may call."""
    return "spent"


if __name__ == "__main__":
    if "stdio" in sys.argv:
        print(f"starting with the key {os.environ.get('KEEPER_KEY')}", file=sys.stderr, flush=True)
        server.run(transport="stdio")
    else:
        logging.basicConfig(level=logging.INFO)
        server.run(transport="streamable-http", port=0)
