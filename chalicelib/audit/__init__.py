"""Replaying and verifying an account's history. Shares no arithmetic with what decides orders."""
