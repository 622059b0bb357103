"""Tables that spreadsheets and learning platforms write, read as they are or refused by name."""
