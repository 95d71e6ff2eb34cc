"""Learning: from the kept tweets of one or several accounts to a new version on the shelf."""
