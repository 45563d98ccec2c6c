"""A store with an operator's access: accounts, assets and records, beside the engines that use it."""

import itertools
import os
import time
import uuid
from decimal import Decimal

import boto3

from chalicelib.config import Settings
from chalicelib.domain.account import Account
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import units_from
from chalicelib.domain.record import Record
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine, build
from chalicelib.store.connection import DynamoDB
from chalicelib.store.tables import Tables, asset_key, number, record_from

_user_ids = itertools.count(1_000_000 + int.from_bytes(os.urandom(4)) * 1_000)


def new_user_id() -> int:
    """Returns a user id that no other call, in this run or an earlier one, has returned."""
    return next(_user_ids)


def new_key() -> str:
    """Returns an unused key."""
    return f"key-{uuid.uuid4()}"


class Store:
    """The tables that `settings` reach, and an engine of this process over them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.datastore = DynamoDB(settings)
        self.engine: Engine = build(settings, self.datastore)
        self.tables = Tables.of(settings.table_prefix)
        self.dynamodb = boto3.client(
            "dynamodb",
            region_name=settings.region,
            endpoint_url=settings.datastore_endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def new_user(self, **balances: str) -> int:
        """Returns a user with these balances: ``new_user(USD="100000")``."""
        user_id = new_user_id()
        for symbol, amount in balances.items():
            self.fund(user_id, symbol, amount)
        return user_id

    def fund(self, user_id: int, symbol: str, amount: str) -> None:
        """Transfers an amount to an account, or from it where the amount is negative."""
        self.engine.transfers.make(Transfer(user_id, new_key(), symbol, units_from(Decimal(amount))), self.engine.deadline())

    def list_asset(self, symbol: str, price: str, *, halted: bool = False, **rules: str) -> None:
        """Lists an asset, or replaces it, and returns when no engine of these settings may decide by an older copy.

        `rules`: attributes such as ``min_quantity="0.01"``, or a `price_at` other than now.
        """
        self.list_new_asset(symbol, price, halted=halted, **rules)
        self.outlast_copies()

    def list_new_asset(self, symbol: str, price: str, *, halted: bool = False, **rules: str) -> None:
        """Lists an asset of which no engine has a copy: nobody has asked for it since it was removed, if it ever was listed."""
        item = {
            **asset_key(symbol),
            "price_usd": {"S": price},
            "price_at": {"S": rfc3339(self.engine.world.now())},
            "halted": {"BOOL": halted},
            "version": number(1),
            **{name: {"S": value} for name, value in rules.items()},
        }
        self.dynamodb.put_item(TableName=self.tables.assets, Item=item)

    def remove_asset(self, symbol: str) -> None:
        """Removes an asset, and returns when no engine may decide by a copy of it."""
        self.dynamodb.delete_item(TableName=self.tables.assets, Key=asset_key(symbol))
        self.outlast_copies()

    def outlast_copies(self) -> None:
        """Returns when no engine of these settings may decide by a copy of an asset from before."""
        time.sleep(self.settings.price_age_ms / 1000)

    def account(self, user_id: int) -> Account:
        """Returns an account as it is stored."""
        return self.engine.ledger.read_account(user_id, self.engine.deadline())

    def records(self, user_id: int) -> list[Record]:
        """Returns every record of an account, by sequence."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.tables.idempotency,
            KeyConditionExpression="user_id = :user_id",
            ExpressionAttributeValues={":user_id": number(user_id)},
            ConsistentRead=True,
        )
        records = [record_from(item) for page in pages for item in page["Items"]]
        return sorted(records, key=lambda record: record.sequence)
