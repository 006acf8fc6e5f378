"""Starts programs where it runs itself: in a network namespace that the tests cannot enter.

Usage: veth_agent.py SOCKET. Each connection sends one line of JSON, {"command": [...], "log": PATH},
and may wait: the program's exit code comes back as a line; a connection that is closed before ends the
program.
"""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading


def serve(connection):
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        asked = json.loads(lines.readline())
        with open(asked["log"], "ab") as log:
            child = subprocess.Popen(asked["command"], stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=subprocess.STDOUT)
        watch = os.pidfd_open(child.pid)
        ready, _, _ = select.select([watch, connection], [], [])
        if watch not in ready:
            child.send_signal(signal.SIGTERM)
        code = child.wait()
        os.close(watch)
        try:
            connection.sendall(f"{code}\n".encode())
        except OSError:
            pass


def main():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
