"""Where the words come from: reading, cleaning, counting, storing and fetching tweets."""
