"""Settings: read from the environment once, checked, and refused with the variable's name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.settings import Settings, SettingsError, variable_name

NEEDED = {"SUPABASE_URL": "http://127.0.0.1:54321", "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x"}


def test_two_variables_are_enough() -> None:
    settings = Settings.from_environment(NEEDED)
    assert settings.issuer == "http://127.0.0.1:54321/auth/v1"
    assert settings == settings.checked()


@pytest.mark.parametrize("missing", sorted(NEEDED))
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_needed_variable_that_is_missing_is_named(missing: str, how: str) -> None:
    environment = {name: value for name, value in NEEDED.items() if name != missing}
    if how == "empty":
        environment[missing] = ""
    with pytest.raises(SettingsError, match=missing):
        Settings.from_environment(environment)


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=lambda field: field.name)
def test_every_setting_has_a_variable_of_its_own(field: msgspec.structs.FieldInfo) -> None:
    name = variable_name(field.name)
    assert name.startswith(
        "SUPABASE_" if name in NEEDED or field.name.startswith(("supabase_p", "supabase_s")) else "VERSO_"
    )
    if field.type in {int, float}:
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment({**NEEDED, name: "lots"})


def test_values_are_of_their_types() -> None:
    settings = Settings.from_environment(
        {**NEEDED, "VERSO_MAX_UPLOAD_SIZE": "5", "VERSO_BODY_TIMEOUT": "1.5", "VERSO_CACHE_DIR": "/x"}
    )
    assert (settings.max_upload_size, settings.body_timeout, settings.cache_dir) == (5, 1.5, Path("/x"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SUPABASE_URL", "ftp://x"),
        ("VERSO_MAX_FILES_PER_CHANGE", "0"),
        ("VERSO_MAX_FILES_PER_CHANGE", "10001"),
        ("VERSO_MAX_MESSAGE_LENGTH", "65537"),
        ("VERSO_MAX_PAGE_SIZE", "1000"),
        ("VERSO_DEFAULT_PAGE_SIZE", "201"),
        ("VERSO_EVENT_HEARTBEAT", "0"),
        ("VERSO_EVENT_RECHECK", "0"),
        ("VERSO_UPLOAD_CONCURRENCY", "0"),
        ("VERSO_GIT_PROCESSES", "0"),
        ("VERSO_SUPABASE_CONNECTIONS", "-1"),
        ("VERSO_REQUEST_TIMEOUT", "0"),
        ("VERSO_BODY_TIMEOUT", "nan"),
        ("VERSO_DIFF_SECONDS", "-1"),
        ("VERSO_IMPORT_SECONDS", "0"),
        ("VERSO_IMPORT_SECONDS", "-1"),
        ("VERSO_IMPORT_SECONDS", "nan"),
        ("VERSO_IMPORT_SECONDS", "inf"),
        ("VERSO_EVENT_RECHECK", "61"),
        ("VERSO_LOG_LEVEL", "loud"),
        ("VERSO_LOG_FORMAT", "xml"),
    ],
)
def test_what_is_out_of_its_range_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment({**NEEDED, variable: value})
