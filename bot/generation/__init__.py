"""Speaking: from a persona and the beginning of a tweet to drafts that are fit to be sent."""
