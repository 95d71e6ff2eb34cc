"""Every step the schema ever took, in order, on one screen. A step that was released is never edited: add another."""

from __future__ import annotations

STEPS: tuple[str, ...] = (
    # 1: the first schema. Times are ISO 8601 in UTC, money is decimal text in US dollars, JSON is JSON text.
    """
    CREATE TABLE accounts (
        handle TEXT PRIMARY KEY,               -- lower case, no @
        platform_id TEXT,                      -- X's user id, once known
        basis TEXT,                            -- why it may be learned: own, permission, public_official, invented
        profile TEXT NOT NULL DEFAULT 'mockingbird',  -- by which rules its tweets are cleaned and judged
        since_id TEXT,                         -- newest id that is stored: the next fetch begins after it
        page_token TEXT,                       -- set while a fetch is between two pages
        page_newest_id TEXT,                   -- newest id of the fetch under way; becomes since_id at its end
        fetched_at TEXT,                       -- end of the last complete fetch
        added_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE tweets (
        handle TEXT NOT NULL REFERENCES accounts(handle),
        key TEXT NOT NULL,                     -- X's id, or a digest where the source had none
        text TEXT NOT NULL,                    -- as the source gave it
        cleaned TEXT NOT NULL,                 -- after the profile in use
        verdict TEXT NOT NULL,                 -- kept, or why not: retweet, short, duplicate
        created_at TEXT,
        is_retweet INTEGER NOT NULL,
        reply_to TEXT,
        source TEXT NOT NULL,
        added_at TEXT NOT NULL,
        PRIMARY KEY (handle, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE costs (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        purpose TEXT NOT NULL,                 -- fetch, post, delete
        about TEXT NOT NULL,                   -- handle or persona
        units INTEGER NOT NULL,                -- how many resources were billed
        usd TEXT NOT NULL
    ) STRICT;
    CREATE TABLE trainings (
        id INTEGER PRIMARY KEY,
        persona TEXT NOT NULL,
        handles TEXT NOT NULL,                 -- JSON list
        cause TEXT NOT NULL,                   -- command, discord, web, retraining
        requested_by TEXT NOT NULL,            -- an id on its platform, or empty
        state TEXT NOT NULL,                   -- queued, running, published, kept, failed, cancelled
        created_at TEXT NOT NULL,
        started_at TEXT,
        finished_at TEXT,
        version TEXT,                          -- the version that came of it, published or kept
        reason TEXT,                           -- in words: why it was published, kept, or failed
        result TEXT                            -- JSON: counts, metrics, samples
    ) STRICT;
    CREATE TABLE training_points (
        training_id INTEGER NOT NULL REFERENCES trainings(id) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        at TEXT NOT NULL,
        point TEXT NOT NULL,                   -- JSON: loss, held_out_loss, tokens_per_second, seconds_left, ...
        PRIMARY KEY (training_id, step)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE messages (
        platform TEXT NOT NULL,                -- discord, web, x
        message_id TEXT NOT NULL,              -- the platform's id of what was said to us
        channel_id TEXT NOT NULL,
        author_id TEXT NOT NULL,
        state TEXT NOT NULL,                   -- received, answering, answered, refused
        persona TEXT,
        version TEXT,
        seed INTEGER,
        answer_id TEXT,                        -- the platform's id of our answer
        received_at TEXT NOT NULL,
        finished_at TEXT,
        PRIMARY KEY (platform, message_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE channels (
        platform TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        persona TEXT NOT NULL,                 -- who answers there when nobody is named
        PRIMARY KEY (platform, channel_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE posts (
        id INTEGER PRIMARY KEY,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        seed INTEGER NOT NULL,
        text TEXT NOT NULL UNIQUE,             -- generated; nothing is proposed twice, not even what was refused
        novelty REAL NOT NULL,                 -- 0 (a copy) to 1
        state TEXT NOT NULL,                   -- drafted, approved, sending, sent, refused, unknown
        created_at TEXT NOT NULL,
        decided_by TEXT,
        decided_at TEXT,
        sent_at TEXT,
        platform_id TEXT,                      -- X's id once sent
        reason TEXT
    ) STRICT;
    CREATE TABLE marks (
        name TEXT PRIMARY KEY,                 -- a fact to remember, such as the hash of the synced commands
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    # 2: consent in words, accounts that may not be learned, takedowns with their receipts, what X says is still there,
    # paid calls under way, and what is bought from X before a training. Ids are never given out again, since buttons
    # carry them: hence AUTOINCREMENT, for which posts and trainings are made anew (training_points, too, since dropping
    # what it refers to would empty it).
    """
    ALTER TABLE costs ADD COLUMN resource TEXT NOT NULL DEFAULT '';  -- what X charges for once a day, such as a page
    ALTER TABLE costs ADD COLUMN holder TEXT;          -- until X's answer is known: the process that asked, then ''
    CREATE TABLE purchases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        handles TEXT NOT NULL,                 -- JSON list
        name TEXT,                             -- of the persona, where one was given
        cause TEXT NOT NULL,                   -- discord, web
        requested_by TEXT NOT NULL,            -- an id on its platform
        state TEXT NOT NULL,                   -- asked, looking, priced, fetching, learning, failed
        created_at TEXT NOT NULL,
        estimates TEXT NOT NULL DEFAULT '[]',  -- JSON list: handle, posts, usd
        at_most TEXT,                          -- US dollars that its accounts may cost in all, as was agreed to
        training_id INTEGER,                   -- what it led to
        reason TEXT                            -- in words: why it failed, or is asked once more
    ) STRICT;
    ALTER TABLE accounts ADD COLUMN basis_note TEXT;   -- where the permission is written, in the operator's words
    ALTER TABLE accounts ADD COLUMN judged TEXT;       -- by which profile, which version of its rules, how many tweets
    ALTER TABLE accounts ADD COLUMN checked_at TEXT;   -- when X was last asked whether it is still open
    CREATE TABLE charged (
        resource TEXT PRIMARY KEY,             -- "post 17", "user 17": X charges for each once a day
        day TEXT NOT NULL                      -- UTC, "2026-11-01"; rows of other days go
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blocked (
        handle TEXT PRIMARY KEY,               -- lower case, no @; never to be learned (again)
        platform_id TEXT,                      -- X's user id, where it was known: handles can be changed
        reason TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE takedowns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        handle TEXT NOT NULL,
        asked_by TEXT NOT NULL,                -- command, or an id on its platform
        delete_posts INTEGER NOT NULL,         -- whether what the service has published is deleted as well
        begun_at TEXT NOT NULL,
        finished_at TEXT,                      -- a takedown without it goes on at the next start
        receipt TEXT NOT NULL                  -- JSON: what, how many, when, hashes; never a text
    ) STRICT;
    CREATE TABLE evaluations (                 -- of versions that are on the shelf; their own figures stand with them
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        at TEXT NOT NULL,
        figures TEXT NOT NULL                  -- JSON, see bot/shelf/figures.py
    ) STRICT;
    ALTER TABLE posts RENAME TO posts_before;
    CREATE TABLE posts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        seed INTEGER NOT NULL,
        text TEXT NOT NULL UNIQUE,             -- generated; nothing is proposed twice, not even what was refused
        novelty REAL NOT NULL,                 -- 0 (a copy) to 1
        state TEXT NOT NULL,                   -- drafted, approved, sending, sent, refused, unknown
        created_at TEXT NOT NULL,
        decided_by TEXT,
        decided_at TEXT,
        sent_at TEXT,
        platform_id TEXT,                      -- X's id once sent
        reason TEXT
    ) STRICT;
    INSERT INTO posts SELECT * FROM posts_before;
    DROP TABLE posts_before;
    ALTER TABLE trainings RENAME TO trainings_before;
    ALTER TABLE training_points RENAME TO training_points_before;
    CREATE TABLE trainings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        persona TEXT NOT NULL,
        handles TEXT NOT NULL,                 -- JSON list
        cause TEXT NOT NULL,                   -- command, discord, web, retraining
        requested_by TEXT NOT NULL,            -- an id on its platform, or empty
        state TEXT NOT NULL,                   -- queued, running, published, kept, failed, cancelled
        created_at TEXT NOT NULL,
        started_at TEXT,
        finished_at TEXT,
        version TEXT,                          -- the version that came of it, published or kept
        reason TEXT,                           -- in words: why it was published, kept, or failed
        result TEXT                            -- JSON: counts, metrics, samples
    ) STRICT;
    CREATE TABLE training_points (
        training_id INTEGER NOT NULL REFERENCES trainings(id) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        at TEXT NOT NULL,
        point TEXT NOT NULL,                   -- JSON: loss, held_out_loss, tokens_per_second, seconds_left, ...
        PRIMARY KEY (training_id, step)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO trainings SELECT * FROM trainings_before;
    INSERT INTO training_points SELECT * FROM training_points_before;
    DROP TABLE training_points_before;
    DROP TABLE trainings_before;
    """,
    # 3: what a reply answers; where a training is tracked and how far it is; what was decided about versions.
    """
    CREATE TABLE decisions (                   -- about versions; a takedown's stands in takedowns, and removes these
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        persona TEXT NOT NULL,
        from_version TEXT,                     -- in use until then, or null
        to_version TEXT NOT NULL,              -- the version that it is about
        what TEXT NOT NULL,                    -- put in use, adopted, rolled back, kept, unchanged, pruned
        why TEXT NOT NULL,                     -- in words
        by TEXT NOT NULL,                      -- command, retraining, or a platform with an id on it: discord:17
        training_id INTEGER UNIQUE,            -- that led to it; such a decision is made once
        at TEXT NOT NULL,
        done INTEGER NOT NULL                  -- 0 from just before the shelf changes until just after
    ) STRICT;
    ALTER TABLE trainings ADD COLUMN stage TEXT;       -- of one that runs: base, reading, learning, judging
    ALTER TABLE trainings ADD COLUMN stage_since TEXT;
    CREATE TABLE pushes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        form TEXT NOT NULL,                    -- as it lies on the hub: adapter, whole
        repo TEXT NOT NULL,                    -- on Hugging Face's hub, owner/name
        at TEXT NOT NULL,                      -- before anything was written there
        commit_id TEXT                         -- there; null as long as it is unknown whether it arrived
    ) STRICT;
    ALTER TABLE trainings ADD COLUMN tracked TEXT;     -- JSON: the run that a tracker shows of it
    ALTER TABLE trainings ADD COLUMN tracking_remark TEXT;  -- in words: what went wrong with that
    ALTER TABLE tweets ADD COLUMN reply_to_id TEXT;    -- X's id of the very tweet that is answered, where it is told
    -- X's API has always told it as an id; of archives and tables, where it may be a name, another import brings it.
    UPDATE tweets SET reply_to_id = reply_to WHERE source = 'x_api' AND reply_to NOT GLOB '*[^0-9]*';
    """,
    # 4: words that are not said on a server.
    """
    CREATE TABLE server_words (
        platform TEXT NOT NULL,                -- discord, web
        server_id TEXT NOT NULL,               -- the platform's own; on Discord a guild's
        word TEXT NOT NULL,                    -- in lower case
        added_by TEXT NOT NULL,                -- an id on that platform
        added_at TEXT NOT NULL,
        PRIMARY KEY (platform, server_id, word)
    ) STRICT, WITHOUT ROWID;
    """,
    # 5: servers with settings of their own; what was said, for buttons, replies and votes; who wants no answers; games.
    """
    CREATE TABLE servers (
        platform TEXT NOT NULL,                -- discord
        server_id TEXT NOT NULL,               -- the platform's own
        settings TEXT NOT NULL DEFAULT '{}',   -- JSON, see bot/replies/servers.py
        left_at TEXT,                          -- when it removed the bot; forgotten some time later
        PRIMARY KEY (platform, server_id)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE channels RENAME TO channels_before;
    CREATE TABLE channels (
        platform TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        server_id TEXT NOT NULL DEFAULT '',    -- empty where there is none, or of a row older than this column
        persona TEXT,                          -- who answers there when nobody is named; null: the default persona
        is_off INTEGER NOT NULL DEFAULT 0,     -- nobody is answered there
        in_costume INTEGER,                    -- 1: answers bear the persona's name and face; null: as the server says
        PRIMARY KEY (platform, channel_id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO channels (platform, channel_id, persona) SELECT platform, channel_id, persona FROM channels_before;
    DROP TABLE channels_before;
    ALTER TABLE messages ADD COLUMN server_id TEXT NOT NULL DEFAULT '';
    CREATE INDEX messages_by_author ON messages (platform, author_id, received_at);
    CREATE INDEX messages_by_server ON messages (platform, server_id, received_at);
    CREATE INDEX messages_to_forget ON messages (received_at) WHERE author_id != '';
    CREATE TABLE answers (                     -- each message of ours that says one thing in a persona's voice
        platform TEXT NOT NULL,
        answer_id TEXT NOT NULL,               -- the platform's id of it
        message_id TEXT NOT NULL,              -- what it answers, in messages
        channel_id TEXT NOT NULL,
        server_id TEXT NOT NULL,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        seed INTEGER NOT NULL,
        text TEXT NOT NULL,                    -- generated
        start TEXT NOT NULL,                   -- how it was told to begin
        temperature REAL,                      -- where it was asked for
        top_p REAL,                            -- likewise
        novelty REAL NOT NULL,                 -- 0 (a copy) to 1
        nearest TEXT,                          -- id of the real tweet that it resembles most
        said_at TEXT NOT NULL,
        PRIMARY KEY (platform, answer_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX answers_by_server ON answers (platform, server_id, said_at);
    CREATE INDEX answers_by_persona ON answers (persona);
    CREATE INDEX answers_by_age ON answers (said_at);
    CREATE TABLE votes (                       -- by reaction
        platform TEXT NOT NULL,
        answer_id TEXT NOT NULL,
        voter_id TEXT NOT NULL,
        reaction TEXT NOT NULL,                -- an emoji
        vote INTEGER NOT NULL,                 -- 1 or -1
        PRIMARY KEY (platform, answer_id, voter_id, reaction),
        FOREIGN KEY (platform, answer_id) REFERENCES answers (platform, answer_id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE opt_outs (                    -- people who are not answered and of whom nothing is kept
        platform TEXT NOT NULL,
        author_id TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (platform, author_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE removal_requests (            -- somebody asks the operator that an account be forgotten
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        handle TEXT NOT NULL,
        platform TEXT NOT NULL,
        asked_by TEXT NOT NULL,                -- an id on that platform
        at TEXT NOT NULL,
        UNIQUE (handle, platform, asked_by)
    ) STRICT;
    CREATE TABLE guess_games (                 -- real or bot: see bot/replies/guessing.py
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        platform TEXT NOT NULL,
        server_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        persona TEXT NOT NULL,
        version TEXT NOT NULL,
        started_by TEXT NOT NULL,              -- empty once it is over
        started_at TEXT NOT NULL,
        ended_at TEXT,
        moved_at TEXT NOT NULL,                -- of the last press that changed anything
        round INTEGER NOT NULL DEFAULT 0,      -- the one that is being played, from 0 on
        is_revealed INTEGER NOT NULL DEFAULT 0, -- whether that round's answer is shown
        rounds TEXT NOT NULL                   -- JSON list: a real tweet by handle and key, or a generated text; empty
                                               -- once it is over
    ) STRICT;
    CREATE UNIQUE INDEX one_guess_game ON guess_games(platform, channel_id) WHERE ended_at IS NULL;
    CREATE INDEX guess_games_by_server ON guess_games(platform, server_id);
    CREATE TABLE guesses (
        game_id INTEGER NOT NULL REFERENCES guess_games(id) ON DELETE CASCADE,
        round INTEGER NOT NULL,
        player_id TEXT NOT NULL,
        says_real INTEGER NOT NULL,
        is_right INTEGER NOT NULL,
        PRIMARY KEY (game_id, round, player_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE duels (                       -- two personas talk to each other: see bot/replies/duels.py
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        platform TEXT NOT NULL,
        server_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,              -- where it was asked for
        message_id TEXT,                       -- which opens it there
        thread_id TEXT,                        -- where they talk; the same where there is no thread
        a TEXT NOT NULL,                       -- the persona that begins
        b TEXT NOT NULL,
        topic TEXT NOT NULL,                   -- empty once it has ended
        turns INTEGER NOT NULL,                -- how many are wanted in all
        said TEXT NOT NULL DEFAULT '[]',       -- JSON list: what was said so far, generated; empty once it has ended
        started_by TEXT NOT NULL,              -- empty once it is over
        started_at TEXT NOT NULL,
        ended_at TEXT,
        reason TEXT                            -- in words, where it ended early
    ) STRICT;
    CREATE UNIQUE INDEX one_duel ON duels(platform, channel_id) WHERE ended_at IS NULL;
    CREATE INDEX duels_by_server ON duels(platform, server_id, started_at);
    """,
    # 6: several accounts on X, each with posts of its own; threads, pictures, moments; mentions; sealed tokens.
    """
    ALTER TABLE costs ADD COLUMN account TEXT NOT NULL DEFAULT 'main';  -- of ours, whose keys were used
    ALTER TABLE posts ADD COLUMN account TEXT NOT NULL DEFAULT 'main';  -- of ours, on which it stands or is to stand
    ALTER TABLE posts ADD COLUMN nearest TEXT;         -- id of the real tweet that it resembles most
    ALTER TABLE posts ADD COLUMN offence REAL;         -- the classifier's probability, 0 to 1
    ALTER TABLE posts ADD COLUMN likelihood_gain REAL; -- nats a token over the bare base
    ALTER TABLE posts ADD COLUMN generated TEXT;       -- what the model said, where a person has edited it
    ALTER TABLE posts ADD COLUMN not_before TEXT;      -- a person has said when
    ALTER TABLE posts ADD COLUMN expires_at TEXT;      -- from then on it is not sent any more
    ALTER TABLE posts ADD COLUMN picture TEXT;         -- a file in [paths] data, pictures/
    ALTER TABLE posts ADD COLUMN alt_text TEXT;        -- what is to be seen on it
    ALTER TABLE posts ADD COLUMN deleted_at TEXT;      -- by us, or when it was noticed that it is gone from X
    ALTER TABLE posts ADD COLUMN delete_wanted_by TEXT;  -- who wants it taken back from X; done at the next turn
    ALTER TABLE posts ADD COLUMN score REAL;           -- by which it was the best of its drafts, 0 to 1
    ALTER TABLE posts ADD COLUMN scheduled INTEGER NOT NULL DEFAULT 1;  -- 0 where a person asked for it
    ALTER TABLE posts ADD COLUMN edited_by TEXT;       -- who wrote it anew
    ALTER TABLE posts ADD COLUMN choice INTEGER;       -- a person's: 1 approved as it was drafted, 0 refused
    CREATE TABLE post_parts (                  -- of a post that was approved: more than one is a thread
        post_id INTEGER NOT NULL REFERENCES posts(id) ON DELETE CASCADE,
        number INTEGER NOT NULL,               -- from 1 on
        text TEXT NOT NULL,                    -- exactly what is sent
        platform_id TEXT,                      -- X's id once it is known to stand there
        sending_since TEXT,                    -- when it was first handed to X; from there on it may stand there
        tried_at TEXT,                         -- when it was last handed to X
        attempts INTEGER NOT NULL DEFAULT 0,   -- of which it is not certain that they came to nothing
        said_duplicate INTEGER NOT NULL DEFAULT 0,  -- 1: at the last one X said that it has this text already
        deleted_at TEXT,                       -- it is gone from X
        PRIMARY KEY (post_id, number)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO post_parts (post_id, number, text, platform_id, sending_since, tried_at, attempts)
        SELECT id, 1, text, platform_id, sent_at, sent_at, state != 'approved' FROM posts
        WHERE state IN ('approved', 'sending', 'sent', 'unknown');
    CREATE INDEX post_parts_by_platform_id ON post_parts (platform_id);
    CREATE TABLE x_looks (                     -- at the own timeline, for what is gone from there
        account TEXT PRIMARY KEY,              -- of ours
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE x_mentions (                  -- what was said to one of our accounts, without its words
        account TEXT NOT NULL,                 -- of ours
        mention_id TEXT NOT NULL,              -- X's id of the post
        author_id TEXT NOT NULL,
        conversation_id TEXT NOT NULL,         -- X's id of the post that everything began with
        seen_at TEXT NOT NULL,
        state TEXT NOT NULL,                   -- waiting, sending, answered, left alone, unknown
        wants TEXT NOT NULL DEFAULT 'answer',  -- answer, or confirmation: that nothing more will be said
        reason TEXT,                           -- in words: why it was left alone
        sending_since TEXT,                    -- when a reply was last handed to X
        tries INTEGER NOT NULL DEFAULT 0,      -- how often one was
        reply_id TEXT,                         -- X's id of our reply
        PRIMARY KEY (account, mention_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX x_mentions_by_conversation ON x_mentions (account, conversation_id);
    CREATE TABLE x_tokens (                    -- of accounts that were logged in by OAuth 2.0
        account TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        handle TEXT NOT NULL,
        sealed TEXT NOT NULL,                  -- both tokens, encrypted; empty: they are in the system's keyring
        scopes TEXT NOT NULL,                  -- what they may do, with spaces in between
        expires_at TEXT NOT NULL,              -- of the access token
        ended INTEGER NOT NULL DEFAULT 0,      -- 1: X renews it no more; somebody has to log in again
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE decisions ADD COLUMN samples TEXT;     -- JSON list: seed, the version before, the new one
    ALTER TABLE accounts ADD COLUMN standing TEXT NOT NULL DEFAULT '';  -- renamed, protected, suspended, gone
    ALTER TABLE accounts ADD COLUMN now_called TEXT;   -- by X, where it was renamed; its id stays
    ALTER TABLE accounts ADD COLUMN next_fetch_at TEXT;  -- when it is worth looking again
    """,
    # 7: lines of the ledger whose ids are never given out again, since a call takes back its own line by its id.
    """
    ALTER TABLE costs RENAME TO costs_before;
    CREATE TABLE costs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,                      -- when the call was begun
        purpose TEXT NOT NULL,                 -- look up, fetch, check, mention, look, post, reply, picture, delete
        about TEXT NOT NULL,                   -- handle or persona
        units INTEGER NOT NULL,                -- how many resources were billed
        usd TEXT NOT NULL,
        resource TEXT NOT NULL DEFAULT '',     -- what X charges for once a day, such as a page
        holder TEXT,                           -- until X's answer is known: the process that asked, then ''
        account TEXT NOT NULL DEFAULT 'main'   -- of ours, whose keys were used
    ) STRICT;
    INSERT INTO costs SELECT * FROM costs_before;
    DROP TABLE costs_before;
    """,
    # 8: one post on X may call several of our accounts, and each answers it; replies that X refuses after a try that
    # is in doubt; windows of X's rate limits.
    """
    UPDATE messages SET message_id = channel_id || ' ' || message_id WHERE platform = 'x';
    UPDATE answers SET message_id = channel_id || ' ' || message_id WHERE platform = 'x';
    CREATE TABLE x_windows (                   -- kinds of request that X takes no more of for now
        whose TEXT NOT NULL,                   -- bearer, app or user, and which one; never a key
        request TEXT NOT NULL,                 -- method and route
        until TEXT NOT NULL,
        PRIMARY KEY (whose, request)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE x_mentions ADD COLUMN declined INTEGER NOT NULL DEFAULT 0;  -- 1: X has said no to the last try
    """,
)
