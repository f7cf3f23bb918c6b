"""Four clients that send messages, sync and ask for the versions, two with a connection for each request, two that keep
theirs until they are told to close it:

    load.py TOKEN ROOM STOP

They go on until the file STOP is there, and at least until REQUESTS are done. Prints a JSON object: how many requests
there were, and what failed.
"""

import http.client
import json
import os
import sys
import threading
import time

CLIENTS = 4
REQUESTS = 400
REQUEST_TIMEOUT_SECONDS = 20
PAUSE_SECONDS = 0.05
# Nothing waits for ever for the file.
LONGEST_SECONDS = 120


def ask(connection, keeps, method, path, token, body=None):
    headers = {"Authorization": f"Bearer {token}"}
    if not keeps:
        headers["Connection"] = "close"
    try:
        # It connects where it is not connected, also after an answer that was said to be the last.
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        return None if answer.status == 200 else f"{method} {path}: {answer.status} {said[:200]}"
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"{method} {path}, {'kept' if keeps else 'new'}: {error!r}"


def client(number, token, room, stop, results):
    end = time.monotonic() + LONGEST_SECONDS
    done = 0
    connection = http.client.HTTPConnection("127.0.0.1", 8008, timeout=REQUEST_TIMEOUT_SECONDS)
    keeps = number % 2 == 1
    while time.monotonic() < end and (done < REQUESTS // CLIENTS or not os.path.exists(stop)):
        kind = done % 3
        if kind == 0:
            message = json.dumps({"msgtype": "m.text", "body": f"{number} {done}"})
            path = f"/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}-{done}"
            failure = ask(connection, keeps, "PUT", path, token, message)
        elif kind == 1:
            failure = ask(connection, keeps, "GET", "/_matrix/client/v3/sync?timeout=0", token)
        else:
            failure = ask(connection, keeps, "GET", "/_matrix/client/versions", token)
        results.append(failure)
        done += 1
        time.sleep(PAUSE_SECONDS)


def main():
    token, room, stop = sys.argv[1:]
    results = []
    threads = [threading.Thread(target=client, args=(n, token, room, stop, results)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"requests": len(results), "failed": [failure for failure in results if failure]}))


main()
