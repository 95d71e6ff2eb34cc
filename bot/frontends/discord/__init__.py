"""Discord: mentions, slash commands and buttons, through discord.py. `frontend.DiscordFrontend` is the way in.

- frontend: connecting, waiting out trouble, stopping
- client: what Discord tells us, and the drain before the connection is closed
- commands: the slash commands as Discord sees them; each hands over to a desk
- forgetting, outlet, deleting: /forget, and taking back what was said
- talk, answers, trainings, purchases, approvals: the desks, for mentions and tweets, for what stands under each of
  them, for /train, for what has to be fetched and paid before it, for /queue
- context, costume: what was said before a message; speaking under a persona's own name
- lasting: a message that goes on being edited
- mentions, texts, invite: pure; what is said to us, how things are put in words, the link that invites the bot
- failures: any error as one sentence for the person who asked
- guilds, server_log, channels, settings: which servers are answered, what each chooses, and what it is told
- house, privacy: /help, /status and /costs, /privacy and /optout; operation is what they ask of the service
- inspection: what `mockingbird doctor` asks Discord
- translating: the commands' descriptions in other languages
- sync, marks: telling Discord about the commands once for each change, and what has to be remembered
- in_flight: the tasks that have to end before the connection does
- library: discord.py's own global state
"""
