"""Prints the orders once so many are in the table; waits for a minute at most."""

import sqlite3
import sys
import time

wanted, until = int(sys.argv[1]), time.monotonic() + 60
database = sqlite3.connect("orders.db")
while True:
    try:
        orders = database.execute("SELECT id, customer FROM orders ORDER BY id").fetchall()
    except sqlite3.OperationalError:  # the sink has not made its table yet
        orders = []
    if len(orders) >= wanted or time.monotonic() > until:
        break
    time.sleep(0.1)
for order in orders:
    print(*order)
sys.exit(len(orders) < wanted)
