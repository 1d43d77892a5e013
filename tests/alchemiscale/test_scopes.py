"""Scopes and ScopedKeys: their texts, what is refused, and what holds what."""

from __future__ import annotations

import pickle

import pytest
from dummy_protocol import dummy_network

from xpm_alchem.alchemiscale import InvalidGufeKeyError, InvalidScopeError, Scope, ScopedKey

TEXT = "Transformation-0123456789abcdef0123456789abcdef-my_org-my_campaign-my_project"


def test_a_scope_is_its_text_and_back() -> None:
    for text, parts in (
        ("my_org-my_campaign-my_project", ("my_org", "my_campaign", "my_project")),
        ("my_org-my_campaign-*", ("my_org", "my_campaign", None)),
        ("my_org-*-*", ("my_org", None, None)),
        ("*-*-*", (None, None, None)),
    ):
        scope = Scope.from_str(text)
        assert (str(scope), scope.to_tuple(), repr(scope)) == (text, parts, f"<Scope('{text}')>")
        assert scope == Scope(*parts) == Scope(*text.split("-"))
        assert {scope, Scope(*parts)} == {scope}
        assert scope.specific() is (None not in parts)
        assert Scope(**scope.to_dict()) == scope == pickle.loads(pickle.dumps(scope))
    assert Scope() == Scope.from_str("*-*-*")


@pytest.mark.parametrize(
    "parts",
    [
        ("a-b", None, None),
        ("a", None, "c"),
        (None, "b", None),
        (None, None, "c"),
        ("*", "b", "c"),
        ("", None, None),
        (1,),
    ],
)
def test_what_is_no_scope_is_refused(parts: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"(?i)scope|org|given|text|string"):
        Scope(*parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "a", "a-b", "a-b-c-d"])
def test_a_scope_has_three_parts(text: str) -> None:
    with pytest.raises(InvalidScopeError, match="org-campaign-project"):
        Scope.from_str(text)


def test_a_scope_holds_itself_and_what_is_within_it() -> None:
    whole, org, campaign, project = Scope(), Scope("a"), Scope("a", "b"), Scope("a", "b", "c")
    chain = [whole, org, campaign, project]
    for place, scope in enumerate(chain):
        assert [scope.is_superset(other) for other in chain] == [other_place >= place for other_place in range(4)]
    assert not Scope("z").is_superset(project)
    assert sorted([project, org, campaign]) == [org, campaign, project]


def test_a_scope_cannot_be_changed() -> None:
    with pytest.raises(ValueError):
        Scope("a").org = "b"


def test_a_scoped_key_is_its_text_and_back() -> None:
    key = ScopedKey.from_str(TEXT)
    assert str(key) == TEXT
    assert repr(key) == f"<ScopedKey('{TEXT}')>"
    assert str(key.gufe_key) == "Transformation-0123456789abcdef0123456789abcdef"
    assert (key.org, key.campaign, key.project) == ("my_org", "my_campaign", "my_project")
    assert key.scope == Scope("my_org", "my_campaign", "my_project")
    assert key.qualname == "Transformation"
    assert key == ScopedKey(gufe_key=key.gufe_key, org="my_org", campaign="my_campaign", project="my_project")
    assert key == ScopedKey.from_dict(key.to_dict()) == ScopedKey.from_str(str(key)) == pickle.loads(pickle.dumps(key))
    assert {key: 1}[ScopedKey.from_str(TEXT)] == {key: 1}[TEXT] == 1  # scripts keep results by text, too


def test_a_key_of_gufes_stays_one() -> None:
    network = dummy_network([(0, 1)])
    key = ScopedKey.of(network.key, Scope("a", "b", "c"))
    assert key.gufe_key == network.key
    assert type(key.gufe_key) is type(network.key)


@pytest.mark.parametrize(
    "text", ["", "Transformation-1", "Transformation-1-a-b", "Transformation-1-a-b-c-d", "-1-a-b-c"]
)
def test_what_is_no_scoped_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)key"):
        ScopedKey.from_str(text)
    assert issubclass(InvalidGufeKeyError, ValueError)


def test_the_scope_of_a_key_is_specific() -> None:
    with pytest.raises(ValueError, match="specific"):
        ScopedKey.from_str("Transformation-1-a-b-*")
    with pytest.raises(ValueError):
        ScopedKey.of("Transformation-1", Scope("a", "b"))
