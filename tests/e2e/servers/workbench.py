"""A small MCP server of both eras for what the everything-servers do not show: large results, whether a cancellation
arrived, and which headers came. Listens on a free loopback port; uvicorn prints which one."""

import asyncio
import logging

from mcp.server.mcpserver import Context, MCPServer

logging.basicConfig(level=logging.INFO)

# How long `was_cancelled` waits for a cancellation that is under way.
PATIENCE_SECONDS = 15

server = MCPServer(name="workbench", version="1")
cancelled: dict[str, asyncio.Event] = {}


@server.tool()
def blob(size: int) -> str:
    """Text of this many bytes."""
    return "x" * size


@server.tool()
async def steps(count: int, ctx: Context) -> str:
    """Reports this many steps of progress."""
    for step in range(count):
        await ctx.report_progress(progress=step + 1, total=count)
    return f"{count} steps"


@server.tool()
async def wait(key: str, ctx: Context) -> str:
    """Reports that it started, then never ends by itself; notes under the key that it was cancelled."""
    event = cancelled.setdefault(key, asyncio.Event())
    await ctx.report_progress(progress=1, total=2, message="started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        event.set()
        raise
    return "not reached"


@server.tool()
async def was_cancelled(key: str) -> bool:
    """Whether `wait` with this key was cancelled, or is within a few seconds."""
    try:
        await asyncio.wait_for(cancelled.setdefault(key, asyncio.Event()).wait(), PATIENCE_SECONDS)
    except TimeoutError:
        return False
    return True


@server.tool()
def headers(ctx: Context) -> list[str]:
    """The names of the headers that came with this call, in lower case."""
    return sorted(name.lower() for name in ctx.headers or {})


@server.tool()
def secret() -> str:
    """What no visitor may call."""
    return "for members only"


if __name__ == "__main__":
    server.run(transport="streamable-http", port=0)
