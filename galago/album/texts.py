"""Words that belong to what photos show: those that stand in them, and captions.

Found by the full-text index of SQLite (FTS5, https://sqlite.org/fts5.html): all words of a query
must be there, in any order, and longer words that begin so are found, too.  Chinese and Japanese
have no blanks: each character is a word to the index, and a run of them is found as it stands.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from galago.album.fields import WORDS
from galago.album.store import Store
from galago.errors import StorageError

__all__ = [
    "BEGINNING",
    "RUN",
    "TextKind",
    "Written",
    "erase",
    "erase_all",
    "find",
    "is_cjk",
    "overwrite",
    "text_of",
    "write",
]

TextKind = Literal["read", "caption"]

# Han with its extensions, and Japanese syllables: written without blanks between words.
_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A word, or as many letters as stand together where there are no blanks.
RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
BEGINNING = 3  # letters from which on a word is also found as the beginning of another
_MOST_WORDS = 64  # of a query


@dataclass(frozen=True)
class Written:
    """A text found: the row of the vector that it belongs to, its kind and all of it."""

    row: int
    kind: TextKind
    text: str


def write(store: Store, digest: bytes, kind: TextKind, text: str) -> None:
    """Keep a content's text of this kind, in place of an older one; '' notes that it has none.

    Inside a transaction, under the album's lock.  StorageError where Python's SQLite has no FTS5.
    """
    _index(store)
    _remove(store, "hash = ? AND kind = ?", digest, kind)
    new = store.db.execute(
        "INSERT INTO texts (hash, kind, text) VALUES (?, ?, ?)", (digest, kind, text)
    )
    store.db.execute(
        "INSERT INTO words (rowid, body) VALUES (?, ?)", (new.lastrowid, _spaced(text))
    )


def erase(store: Store, digests: Iterable[bytes]) -> None:
    """All texts of these contents go.  Inside a transaction, under the album's lock."""
    for digest in digests:
        _remove(store, "hash = ?", digest)


def overwrite(store: Store) -> None:
    """Write texts and index anew, without the words that were taken out of them.

    Pages of a table that has been split keep copies of what moved out of them, which deleting it
    doesn't overwrite; a page that is given up is.  Inside a transaction, under the album's lock.
    """
    if not _has_index(store):
        return
    kept = store.db.execute("SELECT id, hash, kind, text FROM texts ORDER BY id").fetchall()
    erase_all(store)
    _index(store)
    store.db.executemany("INSERT INTO texts (id, hash, kind, text) VALUES (?, ?, ?, ?)", kept)
    words = ((number, _spaced(text)) for number, _, _, text in kept)
    store.db.executemany("INSERT INTO words (rowid, body) VALUES (?, ?)", words)


def erase_all(store: Store) -> None:
    """Every text goes.  Inside a transaction, under the album's lock."""
    if _has_index(store):
        store.db.execute("DROP TABLE words")
    store.db.execute("DELETE FROM texts")


def text_of(store: Store, digest: bytes, kind: TextKind) -> str | None:
    """A content's text; None when nobody has looked for one."""
    found = store.db.execute(
        "SELECT text FROM texts WHERE hash = ? AND kind = ?", (digest, kind)
    ).fetchone()
    return str(found[0]) if found else None


def find(store: Store, query: str, limit: int) -> list[Written]:
    """Texts that have all words of the query, the best first; only of contents that photos have.

    Empty for a query without words, and for an album in which no text is kept.
    """
    asked = _asked(query)
    if not asked or not _has_index(store):
        return []
    found = store.db.execute(
        "SELECT vectors.row, texts.kind, texts.text FROM words "
        "JOIN texts ON texts.id = words.rowid JOIN vectors ON vectors.hash = texts.hash "
        "WHERE words MATCH ? AND vectors.unused IS NULL ORDER BY words.rank, vectors.row LIMIT ?",
        (asked, limit),
    )
    return [Written(*one) for one in found]


def _remove(store: Store, where: str, *values: bytes | str) -> None:
    found = store.db.execute(f"SELECT id, text FROM texts WHERE {where}", values).fetchall()
    for number, text in found:
        # The index keeps no text of its own and must be told what it forgets.
        store.db.execute(
            "INSERT INTO words (words, rowid, body) VALUES ('delete', ?, ?)",
            (number, _spaced(text)),
        )
        store.db.execute("DELETE FROM texts WHERE id = ?", (number,))


def _index(store: Store) -> None:
    """Make the index with the first text."""
    if _has_index(store):
        return
    try:
        store.db.execute(WORDS)
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        raise StorageError(
            "this Python's SQLite can't search texts (it has no FTS5): use a Python from "
            "python.org, conda or your distribution"
        ) from None


def _has_index(store: Store) -> bool:
    asked = "SELECT 1 FROM sqlite_master WHERE name = 'words'"
    return store.db.execute(asked).fetchone() is not None


def _spaced(text: str) -> str:
    """The words as the index takes them."""
    return " ".join(" ".join(run) if is_cjk(run) else run for run in _runs(text))


def _asked(query: str) -> str:
    """The query in FTS5's language; each word is quoted, so that none is an operator."""
    runs = _runs(query)[:_MOST_WORDS]
    return " ".join(
        f'"{" ".join(run)}"' if is_cjk(run) else f'"{run}"' + "*" * (len(run) >= BEGINNING)
        for run in runs
    )


def _runs(text: str) -> list[str]:
    return RUN.findall(unicodedata.normalize("NFKC", text).casefold())


def is_cjk(run: str) -> bool:
    """Whether a run of letters (of RUN) is written without blanks."""
    return re.match(f"[{_CJK}]", run) is not None
