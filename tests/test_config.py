"""Settings: one file that is the manual, one model, and the environment over both."""

from __future__ import annotations

import contextlib
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.config import Config, X, XAccount, load, secret, x_accounts
from bot.errors import ConfigError

SHIPPED = Path(__file__).parent.parent / "config.toml"
SECTIONS = {name: getattr(Config(), name) for name in Config.model_fields}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def refusal(file: Path, text: str, environment: dict[str, str] | None = None) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, environment or {})
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_shipped_file_holds_every_key_and_no_other() -> None:
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert {name: list(keys) for name, keys in shipped.items()} == {
        name: list(type(section).model_fields) for name, section in SECTIONS.items()
    }


def test_the_shipped_file_holds_the_defaults() -> None:
    shipped = Config.model_validate(tomllib.loads(SHIPPED.read_text(encoding="utf-8")))
    assert shipped == Config()


def test_every_section_and_key_of_the_model_is_a_plain_name() -> None:
    for name, section in SECTIONS.items():
        assert isinstance(section, BaseModel)
        for key in (name, *type(section).model_fields):
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", key), key  # no double underscore: it parts the two
            assert key == key.lower()


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        config = load(None, {})
    assert config.paths.data == tmp_path / "data"
    assert config.model_copy(update={"paths": Config().paths}) == Config()


def test_relative_paths_start_at_the_file_and_absolute_ones_stay(file: Path) -> None:
    file.write_text('[paths]\ndata = "here"\nmodels = "/srv/models"\n', encoding="utf-8")
    paths = load(file, {}).paths
    assert paths.data == file.parent / "here"
    assert paths.models == Path("/srv/models")
    assert paths.examples == file.parent / "examples"


def test_a_named_file_must_exist(file: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load(file, {})


def test_the_environment_overrules_the_file(file: Path) -> None:
    file.write_text('[web]\nport = 1000\n[model]\nbase = "gpt2"\n', encoding="utf-8")
    config = load(
        file,
        {
            "MOCKINGBIRD_WEB__PORT": "8080",
            "MOCKINGBIRD_MODEL__BASE": "123",
            "MOCKINGBIRD_MODEL__WEIGHTS": "float32",
            "MOCKINGBIRD_GENERATION__TEMPERATURE": "1",
            "MOCKINGBIRD_DISCORD__ENABLED": "true",
            "MOCKINGBIRD_X__MONTHLY_BUDGET_USD": "5.10",
            "MOCKINGBIRD_PATHS__DATA": "elsewhere",
        },
    )
    assert config.web.port == 8080
    assert config.model.base == "123"
    assert config.model.weights == "float32"
    assert config.generation.temperature == 1.0
    assert config.discord.enabled is True
    assert config.x.monthly_budget_usd == Decimal("5.10")
    assert config.paths.data == file.parent / "elsewhere"


def test_variables_without_a_section_are_not_settings(file: Path) -> None:
    file.write_text("", encoding="utf-8")
    assert load(file, {"MOCKINGBIRD_WEB_PASSWORD": "x", "MOCKINGBIRD_TEST_TWEETS": "y", "OTHER__KEY": "z"}).web.port


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[web]\nprot = 1", r"\[web\] prot is no setting; did you mean port\?"),
        ("[wep]\nport = 1", r"\[wep\] is no section; did you mean web\?"),
        ("[log]\nqqqqqq = 1", r"\[log\] qqqqqq is no setting; known are level, format"),
        ("[x]\nbearer_token = 'abc'", r"did you mean bearer_token_env\?"),
        ("[web]\nport = '8000'", r"\[web\] port can't be '8000'"),
        ("[web]\nport = 70000", r"\[web\] port can't be 70000: .*65535"),
        ("[web]\nenabled = 1", r"\[web\] enabled can't be 1"),
        ("[model]\nweights = 'int4'", r"\[model\] weights can't be 'int4'"),
        ("web = 5", r"\[web\] .*can't be 5"),
        ("[web\nport = 1", r"config.toml is not valid TOML"),
        ("[x]\nwarn_at = [0.5, 2.0]", r"\[x\] warn_at can't be 2.0"),
        ("[x]\ntime_zone = 'Europe/Nowhere'", r"\[x\] time_zone can't be 'Europe/Nowhere': there is no such time zone"),
        ("[retraining]\ntime_zone = 'Mars'", r"\[retraining\] time_zone can't be 'Mars': there is no such time zone"),
        ("[x]\nquiet_hours = '25:00-07:00'", r"\[x\] quiet_hours can't be '25:00-07:00'"),
        ("[x]\nquiet_hours = '9-17'", r"\[x\] quiet_hours can't be '9-17'"),
        ("[retraining]\nquiet_hours = '08:00-08:00'", r"\[retraining\] quiet_hours .*: they end when they begin"),
        ("[x.accounts.harbour]\npersna = 'otis'", r"harbour\] persna is no setting; did you mean persona\?"),
        ("[x.accounts.harbour]\nwarn_at = [0.5]", r"\[x.accounts.harbour\] warn_at is one for all accounts"),
        ("[x.accounts.harbour]\nmost_turns = 0", r"\[x.accounts.harbour\] most_turns can't be 0"),
        ("[x.accounts.main]\npersona = 'otis'", r"\[x.accounts\] main can't be 'main': main is the account of \[x\]"),
    ],
)
def test_what_is_wrong_is_named_and_so_is_the_cure(file: Path, text: str, sentence: str) -> None:
    assert re.search(sentence, refusal(file, text))


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("MOCKINGBIRD_WEB__PROT", r"\[web\] prot is no setting; did you mean port\?"),
        ("MOCKINGBIRD_WEP__PORT", r"\[wep\] is no section; did you mean web\?"),
        ("MOCKINGBIRD_WEB__PORT", r"\[web\] port can't be 'many'"),
    ],
)
def test_a_wrong_variable_is_refused_like_a_wrong_key(file: Path, variable: str, sentence: str) -> None:
    assert re.search(sentence, refusal(file, "", {variable: "many"}))


def test_a_section_that_is_none_is_refused_with_the_environment_over_it_too(file: Path) -> None:
    assert "[web]" in refusal(file, "web = 5", {"MOCKINGBIRD_WEB__PORT": "8080"})


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(file, {})


def test_what_an_account_does_not_name_is_as_in_x(file: Path) -> None:
    """[x.accounts.NAME] takes what it names, and everything else but the access token from [x]."""
    file.write_text('[x]\nquiet_hours = "23:00-07:00"\n[x.accounts.harbour]\npersona = "otis"\n', encoding="utf-8")
    accounts = x_accounts(load(file, {}).x)
    assert {name: (each.persona, each.quiet_hours, each.access_token_env) for name, each in accounts.items()} == {
        "main": ("", "23:00-07:00", "X_ACCESS_TOKEN"),
        "harbour": ("otis", "23:00-07:00", ""),
    }


def test_nothing_can_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().web.port = 1


def test_an_account_on_x_has_the_settings_of_the_first_but_never_its_access_token() -> None:
    accounts = x_accounts(X(persona="nell", accounts={"bare": XAccount(), "own": XAccount(access_token_env="OWN")}))
    assert {each.persona for each in accounts.values()} == {"nell"}
    assert [each.access_token_env for each in accounts.values()] == ["X_ACCESS_TOKEN", "", "OWN"]
    assert [each.access_token_secret_env for each in accounts.values()] == ["X_ACCESS_TOKEN_SECRET", "", ""]


def test_secrets_stand_in_no_setting_only_their_names_do() -> None:
    words = re.compile(r"token|secret|password|(^|_)key($|_)")
    for name, section in SECTIONS.items():
        for key, value in section:
            if words.search(key) and isinstance(value, str):
                assert key.endswith("_env"), f"[{name}] {key}"
                assert re.fullmatch(r"[A-Z][A-Z0-9_]+", value), f"[{name}] {key} names no variable"


def test_a_secret_is_looked_up_by_name_and_a_blank_one_is_none() -> None:
    assert secret("DISCORD_TOKEN", {"DISCORD_TOKEN": " abc\n"}) == "abc"
    assert secret("DISCORD_TOKEN", {"DISCORD_TOKEN": "  "}) is None
    assert secret("DISCORD_TOKEN", {}) is None
