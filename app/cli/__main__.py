"""`python -m app.cli` is `verso`."""

from app.cli import main

main()
