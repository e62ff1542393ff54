"""What several tests share, imported by one name: `from tests.helpers.… import …`."""
