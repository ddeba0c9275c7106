"""The worker of webhooks as a process: of `verso webhooks deliver`, and as a child of `verso dev`.

As a child, `python -m app.cli.webhooks_process --lifeline-fd N`, it waits for one line on its lifeline, an
object with `supabase_url` and `secret_key`, and stops when the lifeline ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def deliver_until_told(
    supabase: str,
    key: str,
    *,
    allow_private: bool,
    lifeline: int | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Deliver until SIGINT, SIGTERM or the lifeline's end; what is under way ends first.

    Raises VersoError `secret_key_refused`, also when the key is refused later.
    """
    from app.api.logs import configure_logs
    from app.errors import VersoError
    from app.flows.deliver_webhooks import Deliverer, KeyRefusedError
    from app.settings import Settings
    from app.supabase.pool import Pool
    from app.supabase.webhooks import Webhooks
    from app.webhooks.sending import Sender

    # Everything here is asked under the secret key, so no publishable one is needed.
    settings = Settings(supabase_url=supabase, supabase_publishable_key=key)
    configure_logs(settings)

    async def run() -> None:
        pool = Pool(settings)
        try:
            async with Sender(allow_private=allow_private) as sender:
                deliverer = Deliverer(Webhooks(pool), sender, key)
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, deliverer.stop)
                if lifeline is not None:

                    def watch(descriptor: int = lifeline) -> None:
                        while os.read(descriptor, 1024):
                            pass
                        loop.call_soon_threadsafe(deliverer.stop)

                    threading.Thread(target=watch, name="lifeline", daemon=True).start()
                on_ready()
                await deliverer.run()
        except KeyRefusedError:
            raise VersoError(
                "secret_key_refused",
                "Supabase refuses this key. It must be the project's secret key as it is now: sb_secret_…, "
                "or the legacy service_role. Nothing is lost: events wait until a worker starts with it.",
            ) from None
        finally:
            await pool.close()

    asyncio.run(run())


def main() -> int:
    """Run as a child; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.cli.webhooks_process")
    parser.add_argument("--lifeline-fd", type=int, required=True, help="an inherited pipe of settings")
    options = parser.parse_args()
    # stdout carries one line, to the parent; whatever else is printed belongs into the log.
    parent = os.dup(1)
    os.dup2(2, 1)
    from app.cli.api_process import read_line

    line = read_line(options.lifeline_fd)
    if not line:
        return 0
    told = json.loads(line)

    def say_ready() -> None:
        os.write(parent, b'{"ready":true}\n')
        os.close(parent)

    # Receivers of one's own machine are what one tries webhooks with.
    deliver_until_told(
        told["supabase_url"],
        told["secret_key"],
        allow_private=True,
        lifeline=options.lifeline_fd,
        on_ready=say_ready,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
