"""What upkeep refuses, in a sentence for the person at the terminal."""


class UpkeepError(Exception):
    """Nothing was changed, unless the sentence says so."""
