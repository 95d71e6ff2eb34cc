"""The web page over real sockets: talking, trainings, approval, and who is kept out."""

from __future__ import annotations

import asyncio
import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.database import Database
from bot.errors import Busy, ConfigError, PortInUse, Refused, TooFewTweets
from bot.generation.draft import Partial, Reason
from bot.replies.incoming import Platform
from bot.replies.posts import PostState
from bot.shelf.manifest import HandleCounts, Metrics, Tracked
from bot.training.decisions import Decisions, What
from bot.training.record import Stage as Doing
from bot.training.trainings import TrainingPoint, TrainingResult, TrainingState
from bot.tweets.tweet import Source, Tweet
from tests.fakes import FakeSpeaker
from tests.frontends.web_stage import Browser, Stage, stage, training, visitor
from tests.shelves import manifest, with_pictures

PASSWORD = "correct horse"


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Stage:
    return stage(database, tmp_path, "nell", "crumb")


# Serving


async def test_it_is_found_at_its_url(rooms: Stage) -> None:
    async with rooms.frontend() as page, visitor(page.url) as browser:
        assert page.url.startswith("http://127.0.0.1:")
        assert (await browser.open("/")).status == 200


async def test_it_serves_others_only_behind_a_password(rooms: Stage) -> None:
    with pytest.raises(ConfigError, match=r"no password\. Set one in the environment variable MOCKINGBIRD_WEB_"):
        await rooms.frontend(host="0.0.0.0").__aenter__()
    async with rooms.frontend(PASSWORD, host="0.0.0.0") as page, visitor(page.url) as browser:
        assert (await browser.open("/")).at == "/login"


async def test_a_port_in_use_is_a_sentence(rooms: Stage) -> None:
    async with rooms.frontend() as page:
        port = int(page.url.rpartition(":")[2])
        with pytest.raises(PortInUse, match=rf"Port {port} on 127.0.0.1 is taken .* set \[web\] port to a free one"):
            await rooms.frontend(port=port).__aenter__()


async def test_a_host_that_this_machine_has_not_is_a_sentence(rooms: Stage) -> None:
    with pytest.raises(ConfigError, match=r"can't listen on 203.0.113.9.*\[web\] host"):
        await rooms.frontend(PASSWORD, host="203.0.113.9").__aenter__()


async def test_open_pages_do_not_hold_up_the_end(rooms: Stage) -> None:
    async with rooms.frontend() as page, visitor(page.url) as browser:
        await browser.open("/")
        async with browser.events("/events") as events:
            await page.__aexit__(None, None, None)
            assert await events.next() is None


async def test_answers_under_way_are_waited_for_at_the_end(rooms: Stage) -> None:
    rooms.speaker.free.clear()
    page = rooms.frontend()
    async with page, visitor(page.url) as browser:
        await browser.say("hello")
        await browser.open("/")
        async with browser.events("/events?since=2") as events:
            ending = asyncio.create_task(page.__aexit__(None, None, None))
            await rooms.speaker.asking.wait()
            rooms.speaker.free.set()
            assert "tweet number 1" in await events.html_with("answer")
            await ending


async def test_health_needs_no_password_and_leaves_no_cookie(rooms: Stage) -> None:
    async with rooms.browser(PASSWORD) as browser:
        shown = json.loads((await browser.open("/healthz")).html)
        assert shown.pop("tasks") > 0
        assert shown == {"status": "ok", "refused": {}}
        assert not list(browser.session.cookie_jar)


async def test_health_counts_what_was_refused_and_names_nobody(rooms: Stage) -> None:
    async with rooms.browser(PASSWORD) as browser:
        rooms.refusals["nell"] = {Reason.COPIED: 2, Reason.LOOPING: 1}
        rooms.refusals["crumb"] = {Reason.COPIED: 1, Reason.UNSAFE_MESSAGE: 4}
        shown = json.loads((await browser.open("/healthz")).html)
    assert shown["refused"] == {"copied": 3, "looping": 1, "unsafe message": 4}


async def test_the_page_of_personas_shows_what_each_refused_and_why_the_commonest_first(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        assert "Refused since" not in (await browser.open("/personas")).text
        rooms.refusals["nell"] = {Reason.LOOPING: 1, Reason.COPIED: 2}
        shown = (await browser.open("/personas")).text
    assert "Refused since the service started: 2 copied, 1 looping" in shown
    assert shown.count("Refused since") == 1


# Talking


async def test_a_message_is_answered_by_the_channels_persona(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.say("how is the weather?")
        await browser.page_with("how is the weather?", "nell AI", "tweet number 1", "v1 · seed 1 · novelty 90 %")
    assert rooms.speaker.asked == [("nell", "how is the weather?")]


async def test_thinking_shows_at_once_and_the_page_looks_again(rooms: Stage) -> None:
    rooms.speaker.free.clear()
    async with rooms.browser() as browser:
        await browser.say("hello")
        assert "nell AI 12:00 UTC thinking" in browser.text
        assert '<noscript><meta http-equiv="refresh"' in browser.html
        rooms.speaker.free.set()
        await browser.page_with("tweet number 1")
        assert "thinking" not in browser.text
        assert "http-equiv" not in browser.html


async def test_an_answer_is_shown_while_it_is_spoken_with_and_without_a_script(rooms: Stage) -> None:
    """The first row alone, unheard by screen readers until it is whole."""
    rooms.speaker.free.clear()
    rooms.speaker.partials = [Partial(0, 7, "Winds <back"), Partial(1, 8, "another row")]
    async with rooms.browser() as browser:
        await browser.say("hello")
        await browser.page_with("nell AI 12:00 UTC Winds <back")
        assert '<noscript><meta http-equiv="refresh"' in browser.html
        assert "another row" not in browser.html
        async with browser.events("/events?since=0") as events:
            growing = await events.html_with("Winds &lt;back")
            assert 'aria-live="off"' in growing and "dots" in growing
            rooms.speaker.free.set()
            assert "aria-live" not in await events.html_with("tweet number 1")
        assert "Winds" not in (await browser.open("/")).html


async def test_a_persona_that_is_forgotten_while_it_speaks_is_not_shown_again(rooms: Stage) -> None:
    rooms.speaker.free.clear()
    async with rooms.frontend() as page, visitor(page.url) as browser:
        await browser.say("hello")
        await rooms.speaker.asking.wait()
        [follow] = rooms.speaker.followers
        follow(Partial(0, 7, "Winds back"))
        page.forget(["nell"])
        follow(Partial(0, 7, "Winds backing north"))
        assert "Winds" not in (await browser.open("/")).text
        rooms.speaker.free.set()


async def test_an_open_page_hears_the_answer(rooms: Stage) -> None:
    rooms.speaker.free.clear()
    async with rooms.browser() as browser:
        await browser.say("hello")
        revision = re.search(r'data-revision="(\d+)"', browser.html)
        assert revision
        async with browser.events(f"/events?since={revision[1]}") as events:
            rooms.speaker.free.set()
            name, data, number = await events.next() or ("", {}, 0)
    assert (name, number) == ("line", 3)
    assert "tweet number 1" in data["html"]
    assert data["html"].count(f'id="line-{data["id"]}"') == 1


async def test_a_page_that_comes_back_hears_what_it_missed(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("hello")).page_with("tweet number 1")
        async with browser.events("/events?since=0", headers={"Last-Event-ID": "1"}) as events:
            event = await events.next()
    assert event is not None
    assert event[2] == 3


async def test_a_page_from_before_a_restart_is_told(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/")
        async with browser.events("/events?since=7") as events:
            assert await events.next() == ("restarted", {}, 0)


async def test_the_same_form_sent_twice_is_answered_once(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/")
        form = browser.form("/say") | {"text": "hello"}
        await asyncio.gather(*[browser.post("/say", form) for _ in range(3)])
        await browser.open("/")
        await browser.page_with("tweet number 1")
        assert browser.text.count("You ") == 1
    assert len(rooms.speaker.asked) == 1


async def test_a_form_from_before_a_restart_is_not_answered_again(rooms: Stage) -> None:
    async with rooms.frontend() as page, visitor(page.url) as browser:
        await browser.open("/")
        form = browser.form("/say") | {"text": "hello"}
        await (await browser.post("/say", form)).page_with("tweet number 1")
        await page.__aexit__(None, None, None)
        async with rooms.frontend() as again:
            browser.url = again.url
            await (await browser.post("/say", form)).page_with("This was answered before")
    assert len(rooms.speaker.asked) == 1


async def test_a_named_persona_answers(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("@crumb what is in the oven?")).page_with("crumb AI")
    assert rooms.speaker.asked == [("crumb", "what is in the oven?")]


async def test_the_chosen_persona_goes_on_answering(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/")
        await browser.submit("/say", text="hello", persona="crumb")
        await browser.page_with("tweet number 1")
        assert re.search(r'value="crumb"[^>]* checked', browser.html)
        await (await browser.say("and again")).page_with("tweet number 6")
    assert [persona for persona, _ in rooms.speaker.asked] == ["crumb", "crumb"]


async def test_a_link_offers_a_persona_and_changes_nothing(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/?to=crumb")
        assert re.search(r'value="crumb"[^>]* checked', browser.html)
        await browser.open("/")
        assert re.search(r'value="nell"[^>]* checked', browser.html)
        assert (await browser.open("/?to=<b>")).status == 200


@pytest.mark.parametrize(
    ("typed", "persona", "text"),
    [
        ("/tweet", "nell", "tweet number 1"),
        ("/tweet crumb", "crumb", "tweet number 1"),
        ("/tweet @Crumb The oven", "crumb", "The oven tweet number 1"),
        ("/tweet The lamp", "nell", "The lamp tweet number 1"),
    ],
)
async def test_a_tweet_is_written_on_command(rooms: Stage, typed: str, persona: str, text: str) -> None:
    async with rooms.browser() as browser:
        await (await browser.say(typed)).page_with(f"{persona} AI 12:00 UTC {text} v1")
    assert rooms.speaker.asked == [(persona, "")]


async def test_commands_explain_themselves(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("/help")).page_with("Just write, and the persona you chose answers.")
        await (await browser.say("/dance")).page_with("/dance is no command here.")
        await (await browser.say("/train")).page_with("/train needs a handle whose tweets are here.")
        await (await browser.say("/personas")).page_with("Here are crumb, nell.")
    assert rooms.speaker.asked == []


async def test_a_newcomer_is_told_what_to_do(database: Database, tmp_path: Path) -> None:
    async with stage(database, tmp_path).browser() as browser:
        await browser.open("/")
        assert "Nobody is here yet: import tweets with mockingbird import" in browser.text
        await (await browser.say("/personas")).page_with("Nobody is here yet. Import an archive")
        assert "Nobody is here yet." in (await browser.open("/personas")).text
        assert "No tweets are here yet." in (await browser.open("/accounts")).text
        assert "Nothing is learning now." in (await browser.open("/trainings")).text
        assert "Nothing waits for you." in (await browser.open("/posts")).text


async def test_whoever_is_asked_too_often_says_so(rooms: Stage) -> None:
    rooms.speaker.failure = Refused("That was a lot of tweets: 60 an hour is the limit here.")
    async with rooms.browser() as browser:
        await (await browser.say("hello")).page_with("Mockingbird", "60 an hour is the limit here.")
        assert "Try again" not in browser.text


async def test_what_was_not_possible_for_now_can_be_tried_again(rooms: Stage) -> None:
    rooms.speaker.failure = Busy("Many are waiting. Ask again in 5 s.", 5)
    async with rooms.browser() as browser:
        await (await browser.say("hello")).page_with("Many are waiting. Ask again in 5 s.", "Try again")
        rooms.speaker.failure = None
        await (await browser.submit("/say")).page_with("tweet number 1")
        assert "Many are waiting" not in browser.text
        assert browser.text.count("You ") == 1
    assert rooms.speaker.asked == [("nell", "hello")] * 2


async def test_a_bug_is_an_id_that_the_log_has_and_no_text(rooms: Stage) -> None:
    rooms.speaker.failure = RuntimeError("a bug")
    with capture_logs() as logs:
        async with rooms.browser() as browser:
            await (await browser.say("a secret question")).page_with("Something went wrong here. The log has it under")
            error_id = re.search(r"under ([0-9a-f]{8})\.", browser.text)
    failed = next(entry for entry in logs if entry["log_level"] == "error")
    assert error_id
    assert failed["error_id"] == error_id[1]
    assert "secret" not in str({key: value for key, value in failed.items() if key != "exc_info"})


async def test_generated_text_is_only_text(database: Database, tmp_path: Path) -> None:
    text = "<script>alert(1)</script> & \"so\" 'on'\n`x` </p>"
    rooms = stage(database, tmp_path, "nell", speaker=FakeSpeaker([text]))
    async with rooms.browser() as browser:
        await (await browser.say("<b>hello</b>")).page_with("alert(1)")
        assert "<script>alert" not in browser.html
        assert "<b>hello" not in browser.html
        async with browser.events("/events?since=0") as events:
            html = await events.html_with("alert")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;so&#34; &#39;on&#39;\n`x` &lt;/p&gt;" in html


async def test_visitors_have_channels_of_their_own(rooms: Stage) -> None:
    async with rooms.browser() as ann, visitor(ann.url) as bob:
        await (await ann.say("only for nell")).page_with("tweet number 1")
        assert "only for nell" not in (await bob.open("/")).text


async def test_what_is_said_is_never_written_down(rooms: Stage, tmp_path: Path) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("a very private question")).page_with("tweet number 1")
    assert b"private" not in written(tmp_path)
    assert await rooms.database.one("SELECT 1 FROM messages WHERE state = 'answered'")


@pytest.mark.parametrize(
    "fields", [{"text": ""}, {"text": "  "}, {"text": "x" * 2001}, {"text": "hello", "message_id": "../1"}]
)
async def test_what_is_no_message_is_refused(rooms: Stage, fields: dict[str, str]) -> None:
    async with rooms.browser() as browser:
        await browser.open("/")
        await browser.submit("/say", None, **fields)
        assert browser.status == 400
        assert "Write something of at most 2,000 characters" in browser.text
    assert rooms.speaker.asked == []


async def test_the_script_gets_the_next_id_or_the_problem_as_data(rooms: Stage) -> None:
    as_data = {"Accept": "application/json"}
    async with rooms.browser() as browser:
        await browser.open("/")
        form = browser.form("/say") | {"text": "hello"}
        assert "next_message_id" in (await browser.post("/say", form, as_data)).html
        await browser.post("/say", form | {"text": ""}, as_data)
        assert browser.html == '{"problem": "Write something of at most 2,000 characters, then send it."}'


# Learning


async def test_a_training_says_where_it_is_tracked(rooms: Stage) -> None:
    """With a link where there is one, and with what went wrong."""
    done = replace(training(state=TrainingState.PUBLISHED), version="v1", finished_at=datetime(2026, 11, 1, tzinfo=UTC))
    shown = Tracked(service="wandb", run="0123abcd", url="https://wandb.example/team/mockingbird/runs/0123abcd")
    remark = "wandb did not take the run: the quota is used up."
    rooms.trainings.all[1] = replace(done, tracked=shown)
    rooms.trainings.all[2] = replace(done, id=2, tracked=Tracked(service="trackio", run="nell v1"))
    rooms.trainings.all[3] = replace(done, id=3, tracking_remark=remark)
    async with rooms.browser() as browser:
        page = await browser.open("/trainings/1")
        assert f'<a href="{shown.url}">run 0123abcd in wandb</a>' in page.html
        assert "run nell v1 in trackio, in files on the service's machine" in (await browser.open("/trainings/2")).text
        assert f"Tracking: {remark}" in (await browser.open("/trainings/3")).text


async def test_a_training_is_asked_for_and_followed_in_the_channel(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("/train @NASA esa")).page_with("Waits its turn, number 1 in line.")
        asked = rooms.trainings.all[1]
        point = TrainingPoint(step=30, steps=120, loss=3.5, seconds_left=95)
        async with browser.events("/events?since=3") as events:
            await rooms.trainings.put(replace(asked, state=TrainingState.RUNNING, position=None, point=point))
            assert "step 30 of 120 · loss 3.500 · 2 min left" in await events.html_with("Learning from @nasa, @esa")
        reason = "Not as good as the version in use."
        await rooms.trainings.put(replace(asked, state=TrainingState.KEPT, version="v2", reason=reason))
        await browser.page_with(f"Has learned, but v2 is kept aside. {reason}")
    assert rooms.trainings.requested == [(("nasa", "esa"), None, "web")]


async def test_a_published_persona_says_three_things(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await (await browser.say("/train nell")).page_with("Waits its turn")
        done = replace(
            rooms.trainings.all[1], state=TrainingState.PUBLISHED, version="v2", result=result(), reason="It is better."
        )
        await rooms.trainings.put(done)
        await browser.page_with("v2 is in use. It is better.", "tweet number 3 AI v2 · seed 3 · novelty 90 %")
        assert "@nell: 286 of 320 tweets kept · held-out loss 3.412, the base's 4.207" in browser.text
        assert 'href="/?to=nell"' in browser.html


async def test_a_persona_that_cannot_speak_has_learned_all_the_same(rooms: Stage) -> None:
    rooms.speaker.failure = Refused("Nothing that came out was fit to be sent.")
    async with rooms.browser() as browser:
        await (await browser.say("/train nell")).page_with("Waits its turn")
        await rooms.trainings.put(replace(rooms.trainings.all[1], state=TrainingState.PUBLISHED, version="v2"))
        await browser.page_with("v2 is in use.")
        assert "fit to be sent" not in browser.text


async def test_a_training_that_can_not_be_is_a_sentence(rooms: Stage) -> None:
    rooms.trainings.failure = TooFewTweets("@nasa has 900 characters, 6,000 are needed. Import more of its tweets.")
    async with rooms.browser() as browser:
        await (await browser.say("/train nasa")).page_with("@nasa has 900 characters, 6,000 are needed.")
        await store(rooms, "nasa")
        await browser.open("/personas")
        await browser.submit("/train", handle="nasa")
        assert "@nasa has 900 characters, 6,000 are needed." in browser.text


async def test_an_account_in_the_store_can_be_learned_from_the_page(rooms: Stage) -> None:
    await store(rooms, "nasa")
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert "@nasa 2 of 3 kept, too little to learn from" in browser.text
        await browser.submit("/train", handle="nasa", name="houston")
        assert browser.at == "/trainings"
        assert "houston is in line to learn." in browser.text
        assert "in line to learn" not in (await browser.open("/trainings")).text
    assert rooms.trainings.requested == [(("nasa",), "houston", "web")]


async def test_a_training_of_nobody_is_a_sentence(rooms: Stage) -> None:
    await store(rooms, "nasa")
    async with rooms.browser() as browser:
        await browser.open("/personas")
        await browser.submit("/train")
        assert "Nothing was trained: tick at least one account" in browser.text


async def test_personas_are_shown_with_their_figures(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/personas")
    shown = browser.text
    assert "nell v1, 1 Nov 2026 Talk to nell learned from @nell" in shown
    assert "273 kept 20 retweets 5 short 2 duplicates of 300 downloaded" in shown
    assert "Held-out loss 3.100 3.900 −21 %" in shown
    assert "Bits per byte 1.200 1.500 −20 %" in shown


async def test_a_persona_shows_what_was_decided_about_it_the_newest_first(rooms: Stage) -> None:
    decisions = Decisions(rooms.database, rooms.shelf, rooms.clock)
    rooms.shelf.place(rooms.shelf.staging("nell", "2"), manifest("nell", "v2"))
    await decisions.use("nell", "v2", What.USED, "Its held-out loss is 3.100.", "web:7", training=1)
    await decisions.roll_back("nell", "v1", "command")
    async with rooms.browser() as browser:
        await browser.open("/personas")
    shown = browser.text
    assert "What was decided about nell v1 rolled back from v2, " in shown
    assert shown.index("v1 rolled back") < shown.index("v2 put in use")
    assert "by web:7, what it changed Its held-out loss is 3.100." in shown


async def test_a_persona_whose_version_is_damaged_says_so_and_what_to_do(rooms: Stage) -> None:
    staging = rooms.shelf.staging("nell", "2")
    (staging / "adapter_model.safetensors").write_bytes(b"weights")
    damaged = {"sha256": {"adapter_model.safetensors": "0" * 64}}
    rooms.shelf.place(staging, manifest("nell", "v2").model_copy(update=damaged))
    rooms.shelf.use("nell", "v2")
    async with rooms.browser() as browser:
        await browser.open("/personas")
    assert "nell v2 is damaged on disk (adapter_model.safetensors)." in browser.text
    assert "mockingbird rollback nell goes back" in browser.text


async def test_what_waits_tells_its_place_and_when_it_begins(rooms: Stage) -> None:
    moment = datetime(2026, 11, 1, 14, 32, tzinfo=UTC)
    await rooms.trainings.put(replace(training(1), position=2))
    await rooms.trainings.put(replace(training(2, persona="crumb"), position=1, starts_at=moment))
    async with rooms.browser() as browser:
        await browser.open("/trainings")
        shown = browser.text
        assert shown.index("crumb waits its turn") < shown.index("nell waits its turn")
        assert "Number 1 in line; begins probably " in shown and "14:32" in shown
        assert "Number 2 in line; when it begins is unknown yet." in shown


async def test_a_training_that_is_judged_shows_no_bar_that_stands_still(rooms: Stage) -> None:
    judged = replace(training(1, TrainingState.RUNNING), point=TrainingPoint(90, 90, 3.0), stage=Doing.JUDGING)
    await rooms.trainings.put(judged)
    async with rooms.browser() as browser:
        page = await browser.open("/trainings")
    assert "It has learned. How well is being judged" in page.text
    assert "<progress" not in page.html


async def test_a_persona_shows_what_it_says_as_a_picture_that_is_told_as_well(rooms: Stage) -> None:
    with_pictures(rooms.shelf, "nell", "v2")
    async with rooms.browser() as browser:
        await browser.open("/personas")
        shown = re.search(r'<img src="(/personas/nell/v2/predictions.png)" alt="([^"]*)"', browser.html)
        assert shown is not None
        assert "says: My dream is a lamp that sings 🎶." in html.unescape(shown[2])
        async with browser.session.get(browser.url + shown[1]) as response:
            assert response.content_type == "image/png"
            assert await response.read() == (rooms.shelf.folder / "nell" / "v2" / "predictions.png").read_bytes()


async def test_a_persona_without_a_picture_shows_none_and_nothing_else_is_served(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        assert "predictions.png" not in (await browser.open("/personas")).html
        for path in ("nell/v1/predictions.png", "nell/v1/manifest.json", "nell/v9/curve.png", "..%2Fnell/v1/curve.png"):
            assert (await browser.open(f"/personas/{path}")).status == 404, path


async def test_a_damaged_persona_does_not_hide_the_others(rooms: Stage) -> None:
    (rooms.shelf.folder / "crumb" / "current").write_text("v9\n")
    async with rooms.browser() as browser:
        await browser.open("/personas")
        assert "crumb has no version v9." in browser.text
        assert "273 kept" in browser.text


async def test_trainings_are_shown_with_queue_and_history(rooms: Stage) -> None:
    await rooms.trainings.put(training(1, TrainingState.FAILED, "crumb"))
    await rooms.trainings.put(replace(training(2, TrainingState.KEPT), version="v2", reason="No better than v1."))
    point = TrainingPoint(step=60, steps=120, loss=3.2, held_out_loss=3.4, tokens_per_second=5210, seconds_left=170)
    await rooms.trainings.put(replace(training(3, TrainingState.RUNNING), point=point))
    await rooms.trainings.put(training(4, persona="late"))
    rooms.trainings.measured[3] = [TrainingPoint(0, 120, held_out_loss=4.2), TrainingPoint(30, 120, loss=3.9), point]
    async with rooms.browser() as browser:
        shown = (await browser.open("/trainings")).text
        assert "Step 60 of 120 Time left 3 min Tokens a second 5,210 Loss 3.200 Held-out loss 3.400" in shown
        assert 'aria-label="Loss while learning from 3.90 to 3.20, loss on held-out tweets from 4.20' in browser.html
        assert shown.index("In line") < shown.index("late waits its turn") < shown.index("History")
        assert "nell kept aside v2 No better than v1." in shown
        assert "crumb failed" in shown
        assert "No better than v1." in (await browser.open("/trainings/2")).text


async def test_a_running_training_is_shown_live_until_it_ends(rooms: Stage) -> None:
    running = replace(training(1, TrainingState.RUNNING), point=TrainingPoint(step=1, steps=120, loss=4.0))
    await rooms.trainings.put(running)
    async with rooms.browser() as browser:
        await browser.open("/trainings/1")
        watched = re.search(r'data-watch="([^"]*)"', browser.html)
        assert watched
        async with browser.events(watched[1]) as events:
            assert "4.000" in await events.html_with("Loss")
            await rooms.trainings.put(replace(running, point=TrainingPoint(step=2, steps=120, loss=3.9)))
            assert "3.900" in await events.html_with("Loss")
            await rooms.trainings.put(replace(running, state=TrainingState.PUBLISHED, version="v1", result=result()))
            assert await events.next() == ("changed", {}, None)
            assert await events.next() is None
        assert "Held-out loss 3.412 4.207 −19 %" in (await browser.open("/trainings/1")).text


async def test_a_page_that_shows_an_older_state_is_loaded_anew(rooms: Stage) -> None:
    await rooms.trainings.put(training(1, TrainingState.RUNNING))
    async with rooms.browser() as browser:
        await browser.open("/")
        async with browser.events("/trainings/1/events?state=queued") as events:
            assert await events.next() == ("changed", {}, None)


async def test_a_training_can_be_stopped(rooms: Stage) -> None:
    await rooms.trainings.put(training(1, TrainingState.RUNNING))
    async with rooms.browser() as browser:
        await browser.open("/trainings")
        await browser.submit("/trainings/1/cancel")
        assert browser.at == "/trainings/1"
        assert "The training was told to stop." in browser.text
    assert rooms.trainings.all[1].state is TrainingState.CANCELLED


async def test_an_unknown_training_is_a_sentence(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        for path in ("/trainings/9", "/trainings/9/events"):
            assert "There is no training 9." in (await browser.open(path)).text


async def test_a_stream_that_fails_ends_and_is_in_the_log(rooms: Stage) -> None:
    await rooms.trainings.put(training(1, TrainingState.RUNNING))
    rooms.trainings.watching_failure = RuntimeError("a bug")
    with capture_logs() as logs:
        async with rooms.browser() as browser:
            await browser.open("/")
            async with browser.events("/trainings/1/events?state=running") as events:
                assert await events.next() is None
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["a stream failed"]


# Approval


async def test_posts_are_approved_and_refused(rooms: Stage) -> None:
    for _ in range(2):
        await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
        assert "2 waiting" in browser.text
        assert "post 1 · 1 Nov 2026, 12:00 UTC tweet number 1 Account main Length 14 of 280" in browser.text
        assert "Novelty 90 %" in browser.text
        assert "Written v1, seed 1 Expires" in browser.text
        await browser.submit("/posts/1/approve")
        assert "Post 1 is approved and goes out in its turn." in browser.text
        await browser.submit("/posts/2/refuse")
        assert "Nothing waits for you." in browser.text
        assert "tweet number 1 approved" in browser.text
        assert "tweet number 4 refused" in browser.text
    assert [post.id for post in await rooms.posts.in_state(PostState.APPROVED)] == [1]


async def test_a_decision_stands(rooms: Stage) -> None:
    post = await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
        form = browser.form("/posts/1/approve")
        await rooms.posts.refuse(post.id, "somebody else")
        await browser.post("/posts/1/approve", form)
        assert "Post 1 is refused already, so nothing was changed." in browser.text
        assert "There is no post 9." in (await browser.post("/posts/9/refuse", form)).text


async def test_a_post_can_be_asked_for(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/posts")
        await browser.submit("/posts", persona="crumb")
        assert "crumb wrote post 1." in browser.text
    assert [post.persona for post in await rooms.posts.waiting()] == ["crumb"]


# Who is kept out


async def test_another_site_can_not_send_our_forms(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as browser:
        await browser.open("/posts")
        form = browser.form("/posts/1/approve")
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": "file://" + browser.url.removeprefix("http://")},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            await browser.post("/posts/1/approve", form, headers)
            assert (browser.status, "sent by another site" in browser.text) == (403, True), headers
        for token in ("", "wrong", "ü"):
            await browser.post("/posts/1/approve", {"token": token})
            assert (browser.status, "not from your own page" in browser.text) == (403, True)
    assert len(await rooms.posts.waiting()) == 1


async def test_one_visitors_token_is_nothing_to_another(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser() as ann, visitor(ann.url) as eve:
        await ann.open("/posts")
        await eve.open("/posts")
        await eve.post("/posts/1/approve", ann.form("/posts/1/approve"))
        assert eve.status == 403


async def test_a_page_behind_a_proxy_with_tls_works(rooms: Stage) -> None:
    async with rooms.browser(PASSWORD) as browser:
        proxied = {"Host": "bot.example.org", "Origin": "https://bot.example.org"}
        await browser.open("/login", {"Host": "bot.example.org"})
        await browser.submit("/login", proxied, password=PASSWORD)
        assert browser.status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "192.168.1.5:8000", "127.0.0.1.evil.example"])
async def test_a_foreign_name_for_our_address_is_refused(rooms: Stage, host: str) -> None:
    async with rooms.browser() as browser:
        await browser.open("/", {"Host": host})
        assert browser.status == 403
        assert "This page is for this machine only" in browser.text
        assert not list(browser.session.cookie_jar)


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8000"])
async def test_this_machines_own_names_are_welcome(rooms: Stage, host: str) -> None:
    async with rooms.browser() as browser:
        assert (await browser.open("/", {"Host": host})).status == 200


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/static/page.css"])
async def test_every_answer_tells_the_browser_to_be_careful(rooms: Stage, path: str) -> None:
    async with rooms.browser() as browser, browser.session.get(browser.url + path) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Cache-Control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", ["/", "/personas", "/accounts", "/accounts/nasa", "/trainings", "/posts", "/nothing"])
async def test_pages_keep_to_their_own_policy(rooms: Stage, path: str) -> None:
    await rooms.posts.propose("main", "nell")
    await store(rooms, "nasa")
    async with rooms.browser() as browser:
        await browser.open(path)
    assert not re.search(r"""\s(style|on\w+)=|<style|<script(?! src="/static)|https?://""", browser.html)


async def test_the_cookie_is_for_this_page_alone(rooms: Stage) -> None:
    async with rooms.browser() as browser, browser.session.get(browser.url) as response:
        cookie = response.cookies["mockingbird"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")


async def test_whoever_follows_a_link_here_keeps_the_channel(rooms: Stage) -> None:
    """A link on another site brings no cookie, so the answer must not replace the one that the browser has."""
    async with rooms.browser() as browser:
        await browser.open("/", {"Sec-Fetch-Site": "cross-site"})
        assert not list(browser.session.cookie_jar)
        assert '<meta http-equiv="refresh" content="0">' in browser.html


async def test_nothing_is_shown_without_the_password(rooms: Stage) -> None:
    await rooms.posts.propose("main", "nell")
    async with rooms.browser(PASSWORD) as browser:
        for path in ("/", "/personas", "/accounts", "/accounts/nasa", "/trainings", "/posts", "/nothing"):
            assert (await browser.open(path)).at == "/login"
        form = browser.form("/login")
        for path in ("/say", "/posts/1/approve", "/train"):
            assert (await browser.post(path, form | {"text": "hello"})).status == 403
        assert (await browser.open("/events", {"Accept": "text/event-stream"})).status == 403
        assert (await browser.open("/static/page.css")).status == 200
    assert len(await rooms.posts.waiting()) == 1


async def test_the_password_opens_and_log_out_closes(rooms: Stage) -> None:
    async with rooms.browser(PASSWORD) as browser:
        await browser.open("/login")
        before = cookie(browser)
        assert "That is not the password." in (await browser.submit("/login", password="guess")).text
        assert browser.status == 403
        await browser.submit("/login", password=PASSWORD)
        assert browser.at == "/"
        assert cookie(browser) != before
        await (await browser.say("hello")).page_with("tweet number 1")
        inside = cookie(browser)
        await browser.submit("/logout")
        assert browser.at == "/login"
        browser.session.cookie_jar.update_cookies({"mockingbird": inside})
        assert (await browser.open("/")).at == "/login"


async def test_guessing_the_password_takes_long(rooms: Stage) -> None:
    async with rooms.browser(PASSWORD) as browser:
        await browser.open("/login")
        for _ in range(10):
            await browser.submit("/login", password="guess")
        await browser.submit("/login", password=PASSWORD)
        assert browser.status == 429
        assert "Too many wrong passwords were tried." in browser.text
        rooms.clock.advance(minutes=1)
        assert (await browser.submit("/login", password=PASSWORD)).at == "/"


async def test_without_a_password_there_is_nothing_to_log_in_to(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        assert (await browser.open("/login")).at == "/"
        assert "Log out" not in browser.text


# What goes wrong


async def test_a_page_that_does_not_exist_says_so(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        assert (await browser.open("/nothing")).status == 404
        assert "There is no page here." in browser.text
        assert (await browser.open("/static/../frontend.py")).status == 404


async def test_a_failing_page_is_an_id_that_the_log_has(rooms: Stage) -> None:
    await store(rooms, "nasa")
    rooms.trainings.failure = RuntimeError("a bug")
    with capture_logs() as logs:
        async with rooms.browser() as browser:
            await browser.open("/personas")
            await browser.submit("/train", handle="nasa")
    error_id = re.search(r"The log has it under ([0-9a-f]{8})\.", browser.text)
    assert browser.status == 500
    assert error_id
    assert next(entry for entry in logs if entry["log_level"] == "error")["error_id"] == error_id[1]


async def test_more_than_a_form_can_hold_is_refused(rooms: Stage) -> None:
    async with rooms.browser() as browser:
        await browser.open("/")
        await browser.submit("/say", text="x" * 100_000)
        assert browser.status == 413
        assert "Send less at once." in browser.text


async def test_a_visitors_choice_is_remembered_over_a_restart(rooms: Stage) -> None:
    async with rooms.frontend() as page, visitor(page.url) as browser:
        await browser.open("/")
        await (await browser.submit("/say", text="hello", persona="crumb")).page_with("tweet number 1")
        await page.__aexit__(None, None, None)
        async with rooms.frontend() as again:
            browser.url = again.url
            assert re.search(r'value="crumb"[^>]* checked', (await browser.open("/")).html)
    row = await rooms.database.one("SELECT persona FROM channels WHERE platform = ?", (Platform.WEB,))
    assert row is not None
    assert row["persona"] == "crumb"


def written(folder: Path) -> bytes:
    """Everything in the folder's files."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def cookie(browser: Browser) -> str:
    """The secret that the browser holds."""
    return next(morsel.value for morsel in browser.session.cookie_jar)


async def store(rooms: Stage, handle: str) -> None:
    """A few tweets of an account: two kept, one retweet."""
    texts = ("The first of several tweets.", "The second of several tweets.", "RT @esa: not ours")
    await rooms.store.add(
        handle, [Tweet(handle, text, str(n), None, False, None, Source.TABLE) for n, text in enumerate(texts, 1)]
    )


def result() -> TrainingResult:
    """What came of a training."""
    counts = HandleCounts(handle="nell", downloaded=320, retweets=22, short=9, duplicates=3, kept=286)
    metrics = Metrics(
        held_out_tweets=28, held_out_loss=3.412, base_held_out_loss=4.207, bits_per_byte=1.318, base_bits_per_byte=1.625
    )
    return TrainingResult(counts=(counts,), metrics=metrics)
