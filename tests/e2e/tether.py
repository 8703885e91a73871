"""Runs a program beside the test, and never lets it outlive the test.

    tether.py PROGRAM [ARGUMENT...]

The program leads a process group of its own. A line on standard input sends it SIGTERM. When standard input ends, its
whole group is killed: whoever holds the other end is gone then, however that came about. Ends as the program ends, and
first kills what it left behind. Standard library only.
"""

import os
import signal
import subprocess
import sys
import threading


def kill_group(leader):
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


def obey(program):
    while os.read(0, 1024):
        program.terminate()
    kill_group(program.pid)


def main():
    # Ctrl-C reaches everything in the terminal's foreground; the end of standard input follows and says the same.
    # A handler of our own is not inherited by the program, as ignoring would be.
    signal.signal(signal.SIGINT, lambda *_: None)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=obey, args=[program], daemon=True).start()
    status = program.wait()
    kill_group(program.pid)
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
