"""Deploying a stage: packaged by Chalice, put in place by CloudFormation, on AWS or on an emulator on this machine."""


class DeployError(Exception):
    """A command that cannot go on. The message is one line: what is in the way, and what to do about it."""
