"""Runs Chalice again and again, each time in a process forked from this one, which has done the imports.

It is started as `make run` starts Chalice: under gevent, with Chalice's arguments. Each line on standard input begins a run. The
run's process id goes to standard output, and once it has ended its status. What the run itself says goes to standard error.
"""

import os
import sys

import boto3  # noqa: F401
import chalice.cli.factory
import chalice.local  # noqa: F401
from chalice.cli import main

import chalicelib.engine
import chalicelib.local.durable_moto
import chalicelib.local.indexed_moto
import chalicelib.local.server  # noqa: F401

while sys.stdin.readline():
    run = os.fork()
    if not run:
        os.dup2(2, 1)
        sys.exit(main())
    os.write(1, b"%d\n" % run)
    os.write(1, b"%d\n" % os.waitpid(run, 0)[1])
