"""The console of a relay: by psql, by psycopg, and row by row."""
import subprocess

import psycopg
from psycopg.rows import dict_row

from support.postgres import default_bin

ADMIN = "ops"


def conninfo(relay, user=ADMIN, **parameters):
    return relay.conninfo(user=user, dbname="walrelay", **parameters)


def connect(relay, user=ADMIN, autocommit=True, **parameters):
    return psycopg.connect(conninfo(relay, user), autocommit=autocommit, connect_timeout=10,
                           **parameters)


def show(relay, what, user=ADMIN):
    """The rows of SHOW, each by the names of its columns."""
    with connect(relay, user, row_factory=dict_row) as connection:
        return connection.execute(f"SHOW {what}").fetchall()


def order(relay, text, user=ADMIN):
    """Gives an order; returns what it says it did."""
    with connect(relay, user) as connection:
        return connection.execute(text).statusmessage


def psql(relay, *arguments, text="", user=ADMIN, deadline=60, bin_dir=None):
    """psql, with text as what is typed; a completed process."""
    return subprocess.run([(bin_dir or default_bin()) / "psql", "-X", "-d", conninfo(relay, user), *arguments],
                          input=text, capture_output=True, text=True, timeout=deadline, check=False)
