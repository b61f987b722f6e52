"""A database whose encoding cannot keep every name is refused before anything is written into it."""

import uuid

import psycopg
import pytest

from migrator.db.upgrade import upgrade
from migrator.errors import SettingInvalid


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_postgresql_with_another_encoding_than_utf8_is_refused_in_a_sentence(
    postgres_server: str, encoding: str
) -> None:
    name = f"t_{uuid.uuid4().hex[:12]}"
    made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(made)
        try:
            with pytest.raises(SettingInvalid, match=f"{name} has the encoding {encoding}, and migrator keeps") as said:
                upgrade(postgres_server.rsplit("/", 1)[0] + f"/{name}")
            assert "createdb --encoding=UTF8" in str(said.value.advice)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
