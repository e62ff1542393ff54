"""The sentences that labels are put into."""

from __future__ import annotations

from galago.text.templates import TEMPLATES


def test_templates_by_name() -> None:
    assert len(TEMPLATES["imagenet"]) == 80
    assert all(t.count("{}") == 1 for templates in TEMPLATES.values() for t in templates)
