"""A month on X in minutes: three accounts of ours, people who speak to them, bad weather, and kills."""
