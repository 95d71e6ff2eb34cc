"""Judged once, freed of repetitions, divided by a hash."""

from __future__ import annotations

from pathlib import Path

from base.clean import divide, is_held_out, judge, main
from base.presets import KINDS
from base.rules import RULES
from base.shards import missing, read_lines, write_shard


def line(text: str, kind: str = "posts") -> dict[str, object]:
    return {"text": text, "kind": kind, "ended": True}


def clean_texts(work: Path, kind: str) -> dict[str, list[str]]:
    return {
        part: [each["text"] for each in read_lines(work / "clean" / kind / f"{part}.jsonl")]
        for part in ("train", "heldout")
    }


def test_a_shard_that_was_cut_off_is_made_again_and_no_other(tmp_path: Path) -> None:
    """What a kill leaves is a .part file, which counts for nothing."""
    write_shard(tmp_path / "00000.jsonl", [line("the first one")])
    (tmp_path / "00001.part").write_text('{"text": "half a li', encoding="utf-8")
    for number, file in missing(tmp_path, range(3)):
        write_shard(file, [line(f"made again, number {number}")])
    texts = [each["text"] for file in sorted(tmp_path.glob("*.jsonl")) for each in read_lines(file)]
    assert texts == ["the first one", "made again, number 1", "made again, number 2"]
    assert not list(tmp_path.glob("*.part"))


def test_the_words_of_a_text_decide_whether_it_is_held_out() -> None:
    """One in a hundred; case and punctuation change nothing."""
    texts = [f"soup number {number} was better than the one before" for number in range(20_000)]
    held = [text for text in texts if is_held_out(text)]
    assert 150 < len(held) < 250
    assert all(is_held_out(text.upper() + "!") for text in held)


def test_repetitions_are_left_out_across_kinds_and_parts(tmp_path: Path) -> None:
    """The same words, and nearly the same."""
    told = "my neighbour borrowed our ladder in spring and brought it back in autumn painted blue and green"
    texts = [line(told), line(told.upper() + "!", "dialogue"), line(told.replace("green", "red")), line("soup is fine")]
    counts = divide(iter([{"text": str(each["text"]), "kind": str(each["kind"])} for each in texts]), tmp_path)
    calm = [kind for kind in KINDS if kind != "capitals"]
    assert sum(counts[f"{kind}/{part} texts"] for kind in calm for part in ("train", "heldout")) == 2


def test_some_are_there_in_capitals_too(tmp_path: Path) -> None:
    texts = [{"text": f"soup number {number} was better than the one before", "kind": "posts"} for number in range(9)]
    counts = divide(iter(texts), tmp_path)
    shouted = clean_texts(tmp_path, "capitals")["train"]
    assert len(shouted) == -(-counts["posts/train texts"] // 5)
    assert all(each.isupper() for each in shouted)
    assert {each.lower() for each in shouted} <= set(clean_texts(tmp_path, "posts")["train"])


def test_new_shards_are_judged_and_old_ones_are_not_judged_again(tmp_path: Path) -> None:
    """By the same rules, that is."""
    write_shard(tmp_path / "sampled" / "00000.jsonl", [line("the kettle sings louder than my aunt")])
    judge(tmp_path, "sampled")
    first = tmp_path / "judged" / f"sampled-{RULES['sampled']}" / "00000.jsonl"
    before = first.stat().st_mtime_ns
    write_shard(tmp_path / "sampled" / "00001.jsonl", [line("As an AI language model I like kettles")])
    judge(tmp_path, "sampled")
    assert first.stat().st_mtime_ns == before
    assert list(read_lines(first.with_name("00001.jsonl"))) == []


def test_what_was_sampled_and_found_ends_in_its_place(tmp_path: Path) -> None:
    """With our own texts beside it, and once only."""
    found = "The kettle is a vessel with a lid, a spout and a handle, in which water is brought to the boil on a stove."
    write_shard(tmp_path / "general" / "00000.jsonl", [{"text": found, "title": "Kettle"}])
    write_shard(tmp_path / "sampled" / "00000.jsonl", [line("the kettle sings louder than my aunt")])
    assert main(["--work", str(tmp_path)]) == 0
    general, posts = clean_texts(tmp_path, "general"), clean_texts(tmp_path, "posts")
    assert general["train"] + general["heldout"] == [found]
    assert "the kettle sings louder than my aunt" in posts["train"] + posts["heldout"]
    assert len(posts["train"]) > 100
