"""What the database itself refuses, and the triggers for it: entries and links are added, never changed or removed.

On PostgreSQL a trigger also links each entry to the chain, at the commit. The chain has one end, so whoever adds to
it waits for whoever did so before to commit; if that were asked for when the entry is written, acts would hold up
each other for all of their transactions, and two that hold rows of each other would never end. At the commit
nothing is asked for after it. On SQLite there is one writer at a time anyway: `audit.chain` links there.
"""

from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES: Final = ("audit_auditentry", "audit_auditlink")
_REFUSAL: Final = "The audit journal is only ever added to."

_SQLITE_REFUSALS = """
CREATE TRIGGER {table}_no_{word} BEFORE {act} BEGIN SELECT RAISE(ABORT, '{refusal}'); END
"""
#: `INSERT OR REPLACE` removes a row without asking the trigger for removals.
_SQLITE_REPLACING = {
    "audit_auditentry": "SELECT 1 FROM audit_auditentry WHERE id = NEW.id",
    "audit_auditlink": "SELECT 1 FROM audit_auditlink WHERE sequence = NEW.sequence OR entry_id = NEW.entry_id",
}

_POSTGRESQL_REFUSE = f"""
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
#: An entry that came with its link, in a copy of a whole database, keeps it.
_POSTGRESQL_LINK = """
CREATE FUNCTION audit_link_entry() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last_sequence bigint;
    last_digest text;
BEGIN
    IF EXISTS (SELECT 1 FROM audit_auditlink WHERE entry_id = NEW.id) THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_auditlink'));
    SELECT sequence, digest INTO last_sequence, last_digest FROM audit_auditlink ORDER BY sequence DESC LIMIT 1;
    IF NOT FOUND THEN
        last_sequence := 0;
        last_digest := repeat('0', 64);
    END IF;
    INSERT INTO audit_auditlink (sequence, entry_id, previous, digest) VALUES (
        last_sequence + 1, NEW.id, last_digest,
        encode(sha256(convert_to(
            last_digest || ' ' || (last_sequence + 1) || ' ' || NEW.id || ' ' || NEW.digest, 'UTF8')), 'hex'));
    RETURN NULL;
END $$
"""
_POSTGRESQL_TRIGGERS = (
    *(
        statement
        for table in TABLES
        for statement in (
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
        )
    ),
    "CREATE CONSTRAINT TRIGGER audit_auditentry_link AFTER INSERT ON audit_auditentry "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_link_entry()",
)

_SQLITE_INSTALLED = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)"
#: Of a trigger that fires always, for every row and column: what it fires at, and the text of its function.
_POSTGRESQL_INSTALLED = (
    "SELECT tgname, tgtype, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
    "WHERE tgrelid IN (to_regclass(%s), to_regclass(%s)) AND NOT tgisinternal AND tgenabled IN ('O', 'A') "
    "AND tgqual IS NULL AND tgattr::text = ''"
)
#: PostgreSQL's numbers for: before an update or removal of a row; before a truncate; after the insert of a row.
_POSTGRESQL_TYPES = {"no_change": 27, "no_truncate": 34, "link": 5}


def statements(vendor: str) -> list[str]:
    """Return the statements that install the triggers."""
    if vendor == "postgresql":
        return [_POSTGRESQL_REFUSE, _POSTGRESQL_LINK, *_POSTGRESQL_TRIGGERS]
    made = []
    for table in TABLES:
        for word, act in (("update", f"UPDATE ON {table}"), ("delete", f"DELETE ON {table}")):
            made.append(_SQLITE_REFUSALS.format(table=table, word=word, act=act, refusal=_REFUSAL))
        replaced = f"INSERT ON {table} WHEN EXISTS ({_SQLITE_REPLACING[table]})"
        made.append(_SQLITE_REFUSALS.format(table=table, word="replace", act=replaced, refusal=_REFUSAL))
    return made


def removals(vendor: str) -> list[str]:
    """Return the statements that take the triggers away: for the way back of the migration, and for tests."""
    if vendor == "postgresql":
        return [f"DROP FUNCTION IF EXISTS {name}() CASCADE" for name in ("audit_refuse", "audit_link_entry")]
    return [f"DROP TRIGGER IF EXISTS {name}" for name in trigger_names(vendor)]


def trigger_names(vendor: str) -> list[str]:
    words = ("no_change", "no_truncate") if vendor == "postgresql" else ("no_update", "no_delete", "no_replace")
    names = [f"{table}_{word}" for table in TABLES for word in words]
    return [*names, "audit_auditentry_link"] if vendor == "postgresql" else names


def missing_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the triggers that somebody took away, switched off, or changed so that they do less."""
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL_INSTALLED if is_postgresql else _SQLITE_INSTALLED, TABLES)
        found = {name: tuple(rest) for name, *rest in cursor.fetchall()}
    if not is_postgresql:
        found = {name: (" ".join(text.split()),) for name, (text,) in found.items()}
    intact = _postgresql_triggers() if is_postgresql else _sqlite_triggers()
    return [name for name in trigger_names(connection.vendor) if found.get(name) != intact[name]]


def _sqlite_triggers() -> dict[str, tuple[object, ...]]:
    texts = (" ".join(statement.split()) for statement in statements("sqlite"))
    return {text.split()[2]: (text,) for text in texts}


def _postgresql_triggers() -> dict[str, tuple[object, ...]]:
    refuse, link = (statement.split("$$")[1] for statement in (_POSTGRESQL_REFUSE, _POSTGRESQL_LINK))
    return {
        name: (number, link if word == "link" else refuse)
        for name in trigger_names("postgresql")
        for word, number in _POSTGRESQL_TYPES.items()
        if name.endswith(word)
    }
