"""Deployment of a stage: Chalice packages it, CloudFormation deploys it, on AWS or on an emulator on this machine."""


class DeployError(Exception):
    """A failure of a command. The message names the problem and the remedy, in one line."""
