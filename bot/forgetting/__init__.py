"""What each room does when an account is to be forgotten, or all that is held about it is to be handed over.

The order of the steps is `bot.personas.takedown`'s; `rooms` says what a step means in each room, `export` hands over,
`documents` says how what is handed over is written. The rooms themselves know nothing of takedowns: they remove, list
and stop what they are told.
"""
