"""Discord: mentions, slash commands and buttons, through discord.py. `frontend.DiscordFrontend` is the way in.

library.py     discord.py's own global state: where Discord is, what the library may log
frontend.py    connecting, waiting out trouble, stopping
client.py      what Discord tells us, and the drain before the connection is closed
commands.py    the slash commands as Discord sees them; each hands over to a desk
talk.py        mentions, /tweet, /personas, /persona set
trainings.py   /train and its message, which goes on being edited after a restart
approvals.py   /queue and its buttons, which go on working after a restart
mentions.py, texts.py    pure: what is said to us, and how things are put in words
failures.py    any error as one sentence that only the person who asked sees
sync.py        telling Discord about the commands, once for each change
in_flight.py   the tasks that have to end before the connection does
"""
