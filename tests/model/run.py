#!/usr/bin/env python3
"""Lets six people do random things, and compares what /sync and the reading of rooms tell each of them with a model.

    run.py --binary PATH [--engine sqlite|postgresql] [--seed N] [--steps N] [--restarts]

Each deed is followed by syncs of clients with all kinds of filters; now and then a person reads all of a room. What
differs from the model is printed, one line each with the seed, and the exit status is 1. With --restarts the server is
stopped or killed every now and then.
"""
import argparse
import asyncio
import pathlib
import secrets
import shutil
import signal
import sys
import tempfile

import aiohttp

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from client import Client, sync  # noqa: E402
from deeds import do_something, make_room  # noqa: E402
from reading import check_reading  # noqa: E402
from served import Server, open_database  # noqa: E402
from world import World  # noqa: E402

PEOPLE = 6
FIRST_ROOMS = 3
CLIENTS_EACH, PLAIN_CLIENTS_EACH = 7, 4
SYNCS_PER_STEP, SYNCED_STEPS = 3, 0.7
READING_EVERY = 25
RESTARTED_STEPS, SYNCS_AFTER_RESTART = 0.02, 10
REQUEST_TIMEOUT_S = 60


async def prepare(world):
    for number in range(PEOPLE):
        await world.register(f"user{number}")
    for _ in range(FIRST_ROOMS):
        await make_room(world)
        await world.capture()
    for user in world.users:
        world.clients += [Client(world, user, number < PLAIN_CLIENTS_EACH) for number in range(CLIENTS_EACH)]


async def restart(world):
    world.server.kill(world.random.choice([signal.SIGTERM, signal.SIGKILL]))
    await world.server.start(world.session)
    # Who is typing, and presence, are not kept.
    for room in world.rooms.values():
        room.typing.clear()
    for user in world.users:
        user.status = None
    await world.capture()
    for client in world.choices.sample(world.clients, SYNCS_AFTER_RESTART):
        await sync(world, client)


async def live(world, steps, restarts):
    """Does all the steps, and answers how often the server was started again."""
    count, choices = 0, world.choices
    for step in range(1, steps + 1):
        await do_something(world)
        if choices.random() < SYNCED_STEPS:
            for client in choices.sample(world.clients, SYNCS_PER_STEP):
                await sync(world, client)
        if step % READING_EVERY == 0:
            await check_reading(world, choices.choice(world.users[1:]), choices.choice(list(world.rooms.values())))
        if restarts and world.random.random() < RESTARTED_STEPS:
            await restart(world)
            count += 1
    return count


async def look_at_everything(world):
    for client in world.clients:
        await sync(world, client)
    for user in world.users:
        for room in world.rooms.values():
            await check_reading(world, user, room)
    for client in world.clients:
        await sync(world, client)


async def run(options):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="model-"))
    folder.chmod(0o755)
    database, postgres = open_database(options.engine, folder)
    server = Server(options.binary, folder, database)
    is_right = False
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)) as session:
            world = World(server, session, options.seed)
            await server.start(session)
            await prepare(world)
            restarts = await live(world, options.steps, options.restarts)
            await look_at_everything(world)
        report, events = world.report, sum(world.lengths().values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.violations.most_common()) or "none differs"
        print(f"seed {options.seed}: {options.steps} steps on {options.engine}, {restarts} restarts, "
              f"{len(world.rooms)} rooms with {events} events, {report.checked} checks: {kinds}")
        is_right = not report.violations
    finally:
        if server.is_running():
            server.kill()
        if postgres:
            postgres.stop("immediate")
        if is_right:
            shutil.rmtree(folder)
        else:
            print(f"seed {options.seed}; the files are kept in {folder}", file=sys.stderr)
    return is_right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--restarts", action="store_true")
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(run(options)) else 1)


if __name__ == "__main__":
    main()
